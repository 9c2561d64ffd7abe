#!/usr/bin/env bash
# Stop the Slurm that start.sh started in folder $1, by the process numbers it left there.
set -uo pipefail
for file in "$1"/run/slurmd.*.pid "$1"/run/slurmctld.pid "$1"/munge/pid; do
    [ -s "$file" ] && kill "$(cat "$file")" 2>/dev/null
done
exit 0
