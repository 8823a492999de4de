#!/usr/bin/env bash
# Runs a command on N ranks of this machine: launch/local.sh N command...
#
# Works as root (containers), with more ranks than cores (waiting ranks then
# give their core away), and leaves placement to the program. SIGUSR1 and
# SIGUSR2 sent to mpirun reach every rank.
set -euo pipefail
ranks=${1:?number of ranks}
shift
flags=(-n "$ranks" --bind-to none --oversubscribe)
if [ "$(id -u)" = 0 ]; then
    flags+=(--allow-run-as-root)
fi
if [ "$ranks" -gt "$(nproc)" ]; then
    flags+=(--mca mpi_yield_when_idle 1)
fi
exec mpirun "${flags[@]}" "$@" </dev/null
