#!/usr/bin/env bash
# make bench-queue: measures the queue with release binaries on private servers of its own, with real fsync; prints bar, value
# and verdict. Owns: $DRYDOCK_STATE (default .local/bench). Arguments go to drydock-bench-queue (--help).
set -euo pipefail
DRYDOCK_STATE=${DRYDOCK_STATE:-.local/bench}
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

bench_run drydock-bench-queue --pids "$STATE/run" "$@"
