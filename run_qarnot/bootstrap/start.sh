#!/bin/sh
# Starts the app of an image that knows nothing of Qarnot. docs/start.md says what it does, and for whom.
#
# It travels with a session's inputs as /job/.run-qarnot/start.sh, beside packages.py and others, and is what the task runs. Any
# POSIX shell will do; Python is only needed for JupyterLab, and for what those others do. Lines that begin with
# "Run Qarnot cannot go on:" are read by the engine, as the reason of the failure.
set -u

JOB=/job
HERE=$JOB/.run-qarnot
SHARE=/share
NUMBER=${INSTANCE_ID:-0}
COUNT=${INSTANCE_COUNT:-1}
LOG=$JOB/logs/qarnot.log
# All machines of a run upload what is in /job under the same names: only the first one may write these.
[ "$NUMBER" = 0 ] || LOG=$JOB/logs/machine-$NUMBER.log
KIND=${RUN_QARNOT_APP:-jupyterlab}
PORT=${RUN_QARNOT_PORT:-}
BASE=${RUN_QARNOT_BASE_URL:-/}
SSH_PORT=${RUN_QARNOT_SSH_PORT:-22}
GRACE_SECONDS=${RUN_QARNOT_GRACE_SECONDS:-6} # docker kills a container ten seconds after it asked it to end

STATE='' # a folder of our own, outside of /job: what is in /job is uploaded, and host keys must not be
CHILD='' # what `run` waits for
APP=''
SSHD=''
KEEPER=''
REMOVER=''
JUDGE=''
LEADER=''
STOPPING=''

say() {
    printf 'Run Qarnot: %s\n' "$*"
    printf 'Run Qarnot: %s\n' "$*" >>"$LOG"
}

cannot_go_on() {
    printf 'Run Qarnot cannot go on: %s\n' "$*" >&2
    [ -z "$STATE" ] || printf 'Run Qarnot cannot go on: %s\n' "$*" >>"$LOG"
    clean_up
    exit 78
}

clean_up() {
    for process in $JUDGE $KEEPER $REMOVER $SSHD $APP $LEADER; do
        kill -TERM "$process" 2>/dev/null
    done
    [ -z "$STATE" ] || rm -rf "$STATE"
}

# Run a command that may take long, so that SIGTERM acts at once: a shell looks at signals only between commands and
# in `wait`.
run() {
    end_if_asked
    "$@" &
    CHILD=$!
    wait_for "$CHILD"
    code=$?
    CHILD=''
    end_if_asked
    return "$code"
}

end_if_asked() {
    [ -n "$STOPPING" ] || return 0
    say 'It was asked to end before the app was started.'
    clean_up
    exit 143
}

# `wait` comes back at each signal; what it waited for may then still be there.
wait_for() {
    wait "$1"
    waited=$?
    while kill -0 "$1" 2>/dev/null; do
        wait "$1"
        waited=$?
    done
    return "$waited"
}

# shellcheck disable=SC2317,SC2329  # called by the trap
asked_to_end() {
    STOPPING=yes
    [ -z "$CHILD" ] || kill -TERM "$CHILD" 2>/dev/null
}

pause() {
    sleep 0.1 2>/dev/null || sleep 1
}

# The last thing that a program said, for the sentence that tells why it failed.
last_line() {
    grep -v '^[[:space:]]*$' "$1" 2>/dev/null | tail -n 1 | tr -d '\r' | cut -c 1-300
}

# -- only in a container: on somebody's machine this would replace the keys that open it --

in_container() {
    [ "${RUN_QARNOT_CONTAINER:-}" = yes ] && return 0
    [ -e /.dockerenv ] && return 0
    [ -e /run/.containerenv ] && return 0
    [ -n "${container:-}" ] && return 0
    [ "$$" = 1 ] && return 0
    grep -Eqs 'docker|containerd|kubepods|libpod|lxc' /proc/1/cgroup && return 0
    grep -Eqsx 'tini|docker-init|dumb-init|catatonit|podman-init' /proc/1/comm
}

refuse() {
    cannot_go_on "$1, and this start script works in a container of its own only. Nothing was changed." \
        'On the local cluster, which has no containers, choose an image with start = "image".'
}

check_place() {
    [ "${RUN_QARNOT_START:-}" = bundled ] || refuse 'the constant RUN_QARNOT_START is not "bundled"'
    [ "$0" = "$HERE/start.sh" ] || refuse "this is not $HERE/start.sh"
    in_container || refuse 'nothing here looks like a container (RUN_QARNOT_CONTAINER=yes says that it is one)'
    USER_NAME=$(id -un 2>/dev/null) ||
        cannot_go_on "the user with the number $(id -u) has no name here." \
            'Set DOCKER_USER = "root" among the constants of the image.'
    if ! mkdir -p "$JOB/logs" 2>/dev/null || ! printf '' 2>/dev/null >"$LOG" || [ ! -w "$HERE" ]; then
        cannot_go_on "the user $USER_NAME may not write in $JOB." \
            'Set DOCKER_USER = "root" among the constants of the image.'
    fi
    STATE=$(mktemp -d "${TMPDIR:-/tmp}/run-qarnot.XXXXXX") || cannot_go_on 'no temporary folder could be made.'
    SUDO=''
    if [ "$(id -u)" != 0 ] && command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        SUDO='sudo -n'
    fi
}

# -- SSH: exactly the keys of DOCKER_SSH, and nothing else, open it --

install_keys() {
    folder=${HOME:-/root}/.ssh
    lines='^(ssh-|ecdsa-|sk-)[A-Za-z0-9@.-]+ [A-Za-z0-9+/]+=*( .*)?$'
    printf '%s\n' "$DOCKER_SSH" | tr -d '\r' | grep -E "$lines" >"$STATE/keys"
    if [ ! -s "$STATE/keys" ]; then
        cannot_go_on 'there is no public SSH key in the constant DOCKER_SSH.'
    fi
    # Written beside and moved: a link that the image may have there is replaced, not followed.
    if ! {
        mkdir -p "$folder" && chmod 700 "$folder" &&
            rm -f "$folder/authorized_keys" &&
            (umask 077 && cat "$STATE/keys" >"$folder/authorized_keys")
    } 2>"$STATE/error"; then
        cannot_go_on "the SSH keys could not be installed: $(last_line "$STATE/error")"
    fi
    say "$(wc -l <"$STATE/keys" | tr -d ' ') SSH key(s) installed for the user $USER_NAME."
}

find_sshd() {
    # By its whole path: sshd starts itself anew for each connection.
    for program in /usr/sbin/sshd /usr/local/sbin/sshd /sbin/sshd "$(command -v sshd)"; do
        if [ -f "$program" ] && [ -x "$program" ]; then
            SSHD_PROGRAM=$program
            return 0
        fi
    done
    return 1
}

install_sshd() {
    say 'This image has no SSH server; installing one.'
    tried=''
    for installer in apt-get apk dnf microdnf yum zypper micromamba mamba conda; do
        command -v "$installer" >/dev/null || continue
        tried="$tried $installer"
        # shellcheck disable=SC2086  # SUDO is several words, or none
        case $installer in
            apt-get) run $SUDO sh -c 'export DEBIAN_FRONTEND=noninteractive
                apt-get update -qq; apt-get install -qq -y --no-install-recommends openssh-server' ;;
            apk) run $SUDO apk add --no-cache openssh-server openssh-keygen ;;
            zypper) run $SUDO zypper --non-interactive install openssh-server ;;
            dnf | microdnf | yum) run $SUDO "$installer" install -y openssh-server ;;
            micromamba | mamba | conda) run "$installer" install --yes --channel conda-forge openssh ;;
        esac >"$STATE/install.log" 2>&1 </dev/null
        find_sshd && return 0
        say "$installer could not install it: $(last_line "$STATE/install.log")"
    done
    return 1
}

# A server of its own: fresh host keys, its own configuration, nothing of /etc/ssh.
start_sshd() {
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$STATE/host_key" ||
        cannot_go_on 'a host key for SSH could not be made.'
    # Read by the page over the platform's API, to be sure that it speaks to this machine.
    for key in "$STATE"/host_key*.pub; do
        ssh-keygen -l -E sha256 -f "$key" | while read -r _ fingerprint _; do
            say "SSH host key $fingerprint"
        done
    done
    # Any other port than 22 cannot be reached on Qarnot: it is for trying this at home, where nobody else should.
    listen=0.0.0.0
    [ "$SSH_PORT" = 22 ] || listen=127.0.0.1
    cat >"$STATE/sshd_config" <<END
Port $SSH_PORT
ListenAddress $listen
HostKey $STATE/host_key
PidFile none
AllowUsers $USER_NAME
AuthorizedKeysFile ${HOME:-/root}/.ssh/authorized_keys
AuthenticationMethods publickey
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
# Homes that a group may write to are common in images, and who is in here may do everything anyway.
StrictModes no
# PAM in containers often refuses whoever has no password.
UsePAM no
PrintMotd no
X11Forwarding no
ClientAliveInterval 30
SetEnv "PATH=$PATH"
Subsystem sftp internal-sftp
END
    # Without PAM, a user whose password is locked may not log in by key either. * is no password, but not locked.
    # shellcheck disable=SC2086
    $SUDO sed -i "s/^\($USER_NAME\):!!*:/\1:*:/" /etc/shadow 2>/dev/null
    # shellcheck disable=SC2086
    $SUDO mkdir -p /run/sshd /var/empty 2>/dev/null # where it locks itself in; which one depends on who built it
    # shellcheck disable=SC2086
    $SUDO "$SSHD_PROGRAM" -D -e -f "$STATE/sshd_config" >"$STATE/sshd.log" 2>&1 &
    SSHD=$!
    while kill -0 "$SSHD" 2>/dev/null; do
        grep -qs 'Server listening' "$STATE/sshd.log" && {
            say "The SSH server answers on port $SSH_PORT; log in as $USER_NAME."
            return 0
        }
        [ -z "$STOPPING" ] || return 0
        pause
    done
    reason=$(grep -is 'failed\|cannot\|denied\|bad\|error' "$STATE/sshd.log" | head -n 1 | tr -d '\r')
    hint=''
    [ "$(id -u)" = 0 ] || hint=' Set DOCKER_USER = "root" among the constants of the image.'
    without_ssh "its SSH server does not start: ${reason:-$(last_line "$STATE/sshd.log")}$hint"
}

# Qarnot forwards port 22 and no other: without SSH nobody can come in, and a machine that nobody can use costs money.
without_ssh() {
    SSHD=''
    if [ "$KIND" = batch ]; then
        say "Nobody can look inside while it runs: $1"
    else
        cannot_go_on "$1"
    fi
}

start_ssh() {
    if [ "${RUN_QARNOT_SSH:-yes}" = no ] || { [ "$KIND" = batch ] && [ -z "${DOCKER_SSH:-}" ]; }; then
        return 0
    fi
    DOCKER_SSH=${DOCKER_SSH:-}
    install_keys
    if find_sshd || install_sshd; then
        start_sshd
    elif [ -z "$tried" ]; then
        without_ssh 'there is no SSH server in this image, and no program that could install one (apt-get, apk, dnf, conda).'
    else
        without_ssh "there is no SSH server in this image, and it could not be installed (tried:$tried). A profile with 'network' in its name gives the machine Internet, and DOCKER_USER = \"root\" the right to install."
    fi
}

# -- packages --

find_python() {
    PYTHON=''
    for program in python3 python; do
        if command -v "$program" >/dev/null && "$program" -c 'import sys; sys.exit(sys.version_info < (3, 8))' 2>/dev/null; then
            PYTHON=$program
            break
        fi
    done
    # For all that runs here, the user's own calls too: this machine is hers, for these hours.
    export PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
}

have_pip() {
    "$PYTHON" -m pip --version >/dev/null 2>&1 && return 0
    run "$PYTHON" -m ensurepip >"$STATE/install.log" 2>&1 && return 0
    if command -v apt-get >/dev/null; then
        # shellcheck disable=SC2086
        run $SUDO sh -c 'export DEBIAN_FRONTEND=noninteractive
            apt-get update -qq; apt-get install -qq -y --no-install-recommends python3-pip' >"$STATE/install.log" 2>&1
    elif command -v apk >/dev/null; then
        # shellcheck disable=SC2086
        run $SUDO apk add --no-cache py3-pip >"$STATE/install.log" 2>&1
    fi
    "$PYTHON" -m pip --version >/dev/null 2>&1
}

# -- several machines: the first one leads, the others work for it --

machines() {
    set -- "$HERE/machines.py" "$1" --share "$SHARE" --number "$NUMBER" --count "$COUNT" \
        --log "$JOB/logs/machine-$NUMBER.log" --variables "$STATE/machines.env"
    "$PYTHON" "$@" &
}

# The variables of the notebooks are known once the scheduler answers.
lead() {
    [ "${RUN_QARNOT_CLUSTER:-}" = dask ] || return 0
    [ -n "$PYTHON" ] || cannot_go_on 'this image has no Python (3.8 or newer), which Dask needs.'
    [ -d "$SHARE" ] || SHARE=$STATE
    machines lead
    LEADER=$!
    while [ ! -s "$STATE/machines.env" ]; do
        kill -0 "$LEADER" 2>/dev/null || cannot_go_on 'the Dask scheduler does not start; the log says why.'
        end_if_asked
        pause
    done
    # shellcheck disable=SC1091  # written by machines.py
    . "$STATE/machines.env"
}

# It tells the other machines before it ends: the container goes when this script does.
end_leader() {
    [ -n "$LEADER" ] || return 0
    kill -TERM "$LEADER" 2>/dev/null
    wait_for "$LEADER"
    LEADER=''
}

work() {
    [ -n "$PYTHON" ] || cannot_go_on 'this image has no Python (3.8 or newer), which Dask needs.'
    keep_removed
    restore
    machines work
    APP=$!
    wait_for_app
    clean_up
    exit "$code"
}

# -- the app --

has_jupyterlab() {
    "$PYTHON" -c 'import importlib.util as u, sys; sys.exit(u.find_spec("jupyterlab") is None)'
}

check_app() {
    if [ "$KIND" = jupyterlab ] && [ -z "${RUN_QARNOT_COMMAND:-}" ]; then
        [ -n "$PYTHON" ] || cannot_go_on 'this image has no Python (3.8 or newer), which JupyterLab needs.'
        if ! has_jupyterlab && ! command -v jupyter-lab >/dev/null; then
            say 'This image has no JupyterLab; installing it.'
            have_pip || cannot_go_on "JupyterLab is not in this image, and its Python has no pip to install it: $(last_line "$STATE/install.log")"
            run "$PYTHON" -m pip install --progress-bar off jupyterlab >"$STATE/install.log" 2>&1 ||
                cannot_go_on "JupyterLab is not in this image and could not be installed: $(last_line "$STATE/install.log")." \
                    'A profile with "network" in its name gives the machine Internet.'
        fi
    elif [ "$KIND" != ssh ] && [ -z "${RUN_QARNOT_COMMAND:-}" ]; then
        cannot_go_on "the image does not say what to run: an app of the kind '$KIND' needs a command."
    fi
}

# In a process group of its own where that is possible, so that its children can be ended with it.
start_app() {
    if [ -n "${RUN_QARNOT_COMMAND:-}" ]; then
        set -- sh -c "$RUN_QARNOT_COMMAND"
    elif [ "$KIND" = ssh ]; then
        [ -n "$SSHD" ] || cannot_go_on 'a machine that is reached by SSH needs SSH, and RUN_QARNOT_SSH is "no".'
        APP=$SSHD
        return 0
    else
        jupyterlab_command
        return 0
    fi
    start_group "$@"
}

start_group() {
    if command -v setsid >/dev/null; then
        setsid "$@" &
    else
        "$@" &
    fi
    APP=$!
}

jupyterlab_command() {
    # Its token is in the environment, where other users of the machine cannot read it as they can a command line.
    set -- --ip=127.0.0.1 --port="$PORT" --no-browser --allow-root \
        --ServerApp.port_retries=0 --ServerApp.root_dir="$JOB" --ServerApp.allow_remote_access=True \
        --ServerApp.base_url="$BASE"
    if has_jupyterlab; then
        start_group "$PYTHON" -m jupyterlab "$@"
    else
        start_group jupyter-lab "$@"
    fi
}

# Ends us when nobody has used the app for long (idle.py). The token goes by the environment.
start_judge() {
    [ -n "${RUN_QARNOT_IDLE_MINUTES:-}" ] || return 0
    if [ -z "$PYTHON" ]; then
        say 'This image has no Python: what runs here does not end by itself when nobody uses it.'
        return 0
    fi
    set -- --minutes "$RUN_QARNOT_IDLE_MINUTES" --end "$$" --state "$STATE"
    [ "$KIND" != jupyterlab ] || set -- "$@" --server "$APP" --url "http://127.0.0.1:$PORT$BASE"
    RUN_QARNOT_APP_TOKEN=$TOKEN "$PYTHON" "$HERE/idle.py" "$@" &
    JUDGE=$!
}

# `-s`: dash takes a group's number for an option after `kill -TERM --`. Without setsid there is no group.
signal_group() {
    kill -s "$1" -- "-$2" || kill -s "$1" "$2"
}

app_token() {
    name=${RUN_QARNOT_TOKEN_ENV:-}
    case $name in
        '' | *[!A-Za-z0-9_]* | [0-9]*) ;; # no name of a variable
        *) eval "TOKEN=\${$name:-}" ;;
    esac
    if [ "$KIND" = jupyterlab ]; then
        : "${PORT:=8888}"
        [ -n "$TOKEN" ] || TOKEN=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')
        export JUPYTER_TOKEN="$TOKEN"
    fi
}

# The last lists first: whoever asked may not have the patience to wait for the app.
end_gently() {
    say 'It was asked to end.'
    end_keepers
    [ -n "$APP" ] || return 0
    signal_group TERM "$APP" 2>/dev/null
    (
        sleep "$GRACE_SECONDS"
        signal_group KILL "$APP"
    ) >/dev/null 2>&1 &
    watchdog=$!
    wait_for "$APP"
    code=$?
    kill "$watchdog" 2>/dev/null
}

end_keepers() {
    printf '' >"$STATE/end" # where an app ends at once: a signal is lost that comes before a new process is its program
    for keeper in $REMOVER $KEEPER; do
        kill -TERM "$keeper" 2>/dev/null
    done
    for keeper in $REMOVER $KEEPER; do
        wait_for "$keeper"
    done
    REMOVER=''
    KEEPER=''
}

# The app must not start before it has seen which files there are.
keep_removed() {
    [ -n "$PYTHON" ] || return 0
    "$PYTHON" "$HERE/removed.py" --job "$JOB" --ready "$STATE/removed" --end "$STATE/end" &
    REMOVER=$!
    while [ ! -e "$STATE/removed" ] && kill -0 "$REMOVER" 2>/dev/null; do
        end_if_asked
        pause
    done
}

restore() {
    if [ -n "$PYTHON" ]; then
        if [ -s "$JOB/requirements.txt" ] && ! have_pip; then
            say 'The Python of this image has no pip: packages cannot be restored.'
        fi
        run "$PYTHON" "$HERE/packages.py" restore --job "$JOB" --state "$STATE" --log "$LOG"
    else
        say 'This image has no Python: there are no packages to keep a list of, and files that are removed come back.'
    fi
}

# What is said of it is in the log, too. Jupyter's configuration need not do it again.
update_repositories() {
    [ -n "${RUN_QARNOT_UPDATE:-}" ] || return 0
    if [ -n "$PYTHON" ]; then
        run "$PYTHON" "$HERE/update.py" --once "$RUN_QARNOT_UPDATE" >"$STATE/update.log" 2>&1 </dev/null
        while read -r line; do
            say "${line#Run Qarnot: }"
        done <"$STATE/update.log"
    else
        say 'This image has no Python: the repository stays as it is.'
    fi
    unset RUN_QARNOT_UPDATE
}

wait_for_app() {
    code=0
    while [ -z "$STOPPING" ]; do
        wait "$APP"
        code=$?
        kill -0 "$APP" 2>/dev/null || break
    done
    if [ -n "$STOPPING" ] && kill -0 "$APP" 2>/dev/null; then
        end_gently
    else
        end_keepers
    fi
    [ ! -e "$STATE/idle" ] || code=0 # as was meant: the run succeeds, and its results are saved
}

main() {
    check_place
    trap asked_to_end TERM INT HUP
    TOKEN=''
    if [ "$NUMBER" != 0 ] && [ "${RUN_QARNOT_CLUSTER:-}" = dask ]; then
        find_python
        work
    fi
    app_token
    start_ssh
    find_python
    check_app
    keep_removed
    update_repositories
    restore
    end_if_asked
    lead
    export RUN_QARNOT_ACCOMPANIED=yes # by us: the configuration of Jupyter need not start our programs
    start_app
    start_judge
    if [ -n "$PYTHON" ]; then
        # The token goes by the environment, never by the command line.
        RUN_QARNOT_APP_TOKEN=$TOKEN "$PYTHON" "$HERE/packages.py" keep --job "$JOB" --state "$STATE" \
            --log "$LOG" --port "${PORT:-0}" --base "$BASE" --path "${RUN_QARNOT_OPEN_PATH:-/}" --probe "${RUN_QARNOT_PROBE_PATH:-/}" &
        KEEPER=$!
    fi
    wait_for_app
    end_leader
    say "The app has ended with exit code $code."
    APP=''
    clean_up
    exit "$code"
}

main
