# Runs on each machine of the doctor's task with several. $1: master or worker.
echo "$INSTANCE_ID of $INSTANCE_COUNT $1" > "machine-$INSTANCE_ID.txt"
share=${RUN_QARNOT_SHARE:-/share}
if [ "$1" = worker ]; then
  echo here > "$share/doctor-worker" 2>/dev/null
  exit 0
fi
waited=0
while [ ! -e "$share/doctor-worker" ] && [ "$waited" -lt 120 ]; do
  waited=$((waited + 1))
  sleep 1
done
peers=$(grep -c . "$share/qhost" 2>/dev/null || echo no)
seen='no file of the worker'
[ -e "$share/doctor-worker" ] && seen='one file seen by both'
echo "$peers peers, and $seen" > share.txt
