#!/usr/bin/env bash
# A Slurm of one node with two CPUs, in a folder of its own:   one_node.sh start FOLDER [OWNER] | stop FOLDER
# With the process id of an OWNER, it stops by itself when that process is gone.
# It needs Debian's slurm-wlm and munge, and root (slurmd starts jobs as other users). Nothing outside of FOLDER is
# touched: keys, sockets, logs and states are all in there. `source FOLDER/env` lets sbatch and the rest find it.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"

action=$1
folder=$(mkdir -p "$2" && cd "$2" && pwd)
owner=${3:-}

write_configuration() {
    local host controller_port node_port
    host=$(hostname -s)
    read -r controller_port node_port < <(python3 - <<'PY'
import socket
sockets = [socket.socket() for _ in range(2)]
for one in sockets:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in sockets))
PY
    )
    mkdir -p "$folder"/{state,spool,log,munge}
    chmod 755 "$folder"
    cat > "$folder/slurm.conf" <<EOF
ClusterName=onenode
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$controller_port
SlurmdPort=$node_port
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
MpiDefault=none
ReturnToService=2
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
KillWait=2
MinJobAge=300
InactiveLimit=0
SlurmctldTimeout=30
SlurmdTimeout=30
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
EOF
    echo "export SLURM_CONF=$folder/slurm.conf" > "$folder/env"
}

start() {
    write_configuration
    dd if=/dev/urandom of="$folder/munge/key" bs=128 count=1 status=none
    chmod 400 "$folder/munge/key"
    munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munge/pid" \
        --log-file="$folder/munge/log" --seed-file="$folder/munge/seed" 2> "$folder/log/munged.err"
    export SLURM_CONF="$folder/slurm.conf"
    touch "$folder/running"
    if [ -n "$owner" ]; then
        setsid bash "$0" watch "$folder" "$owner" > /dev/null 2>&1 < /dev/null &
    fi
    slurmctld -c
    slurmd
    for _ in $(seq 120); do
        if sinfo --noheader --format=%T 2> "$folder/log/sinfo.err" | grep -q '^idle'; then
            return 0
        fi
        sleep 0.5
    done
    echo "the node did not become idle; see $folder/log" >&2
    tail -n 5 "$folder"/log/* >&2
    stop
    return 1
}

watch() {
    while [ -d "/proc/$owner" ] && [ -f "$folder/running" ]; do
        sleep 2
    done
    [ ! -f "$folder/running" ] || stop
}

stop() {
    rm -f "$folder/running"
    export SLURM_CONF="$folder/slurm.conf"
    scancel --full --signal=KILL --state=RUNNING 2> "$folder/log/scancel.err" || true
    for name in slurmd slurmctld munge/pid; do
        local file="$folder/$name"
        [ -f "$file" ] || file="$file.pid"
        [ -f "$file" ] || continue
        local pid
        pid=$(cat "$file")
        kill "$pid" 2> "$folder/log/kill.err" || continue
        for _ in $(seq 40); do
            [ -d "/proc/$pid" ] || break
            sleep 0.25
        done
        [ -d "/proc/$pid" ] && kill -9 "$pid" || true
    done
}

"$action"
