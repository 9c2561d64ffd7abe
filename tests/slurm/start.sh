#!/usr/bin/env bash
# Start a Slurm of four small nodes on this machine, as root and without systemd, in folder $1.
# Needs Debian's slurm-wlm and munge. Prints nothing and returns when all nodes are idle.
set -euo pipefail
B=$(mkdir -p "$1" && cd "$1" && pwd)
H=$(hostname -s)

mkdir -p "$B"/{state,spool,log,run,munge}
chmod 755 "$B" "$B/munge"
head -c 1024 /dev/urandom >"$B/munge/key"
chmod 600 "$B/munge/key"
cat >"$B/slurm.conf" <<CONF
ClusterName=dev
SlurmctldHost=$H(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$B/munge/sock
SlurmctldPort=16817
StateSaveLocation=$B/state
SlurmdSpoolDir=$B/spool/%n
SlurmctldPidFile=$B/run/slurmctld.pid
SlurmdPidFile=$B/run/slurmd.%n.pid
SlurmctldLogFile=$B/log/slurmctld.log
SlurmdLogFile=$B/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SlurmdParameters=config_overrides
NodeName=n[1-4] NodeHostname=$H NodeAddr=127.0.0.1 Port=[16821-16824] CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES DefMemPerCPU=500 MaxTime=INFINITE State=UP
CONF
munged --key-file="$B/munge/key" --socket="$B/munge/sock" --pid-file="$B/munge/pid" \
    --log-file="$B/munge/log" --seed-file="$B/munge/seed"
export SLURM_CONF=$B/slurm.conf
slurmctld -c -f "$SLURM_CONF"
for node in n1 n2 n3 n4; do
    slurmd -f "$SLURM_CONF" -N "$node"
done
for _ in $(seq 60); do
    [ "$(sinfo --noheader --Node --states=idle 2>/dev/null | wc -l)" -eq 4 ] && exit 0
    sleep 0.5
done
echo "Slurm did not come up; see $B/log" >&2
exit 1
