# Runs in the doctor's container, in the folder with its inputs. $1: what the platform put in for ${INSTANCE_ID}.
echo "doctor-word=$DOCTOR_WORD"
echo "doctor-expanded=$1"
echo "doctor-folder=$(pwd)"
echo "doctor-input=$(cat input.txt)"
echo "doctor-both=$(cat both.txt)"
echo made > made.txt
if [ -n "$DOCTOR_LISTEN" ]; then
  python3 -c "
import socket, sys
server = socket.create_server(('', int(sys.argv[1])))
while True:
    visit, _ = server.accept()
    visit.sendall(b'SSH-2.0-doctor\r\n')
    visit.close()
" "$DOCTOR_LISTEN" &
fi
echo "doctor-ready=yes"
number=0 added='' changed=''
while [ "$number" -lt 1800 ]; do
  number=$((number + 1))
  if [ -z "$added" ] && [ -e added.txt ]; then added=yes; echo "doctor-added=$(cat added.txt)"; fi
  if [ -z "$changed" ] && [ "$(cat input.txt)" != first ]; then changed=yes; echo "doctor-changed=yes"; fi
  echo "$number" > late.txt
  sleep 0.5
done
