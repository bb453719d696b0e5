#!/usr/bin/env bash
# make bench-api: measures the API with release binaries on private servers of its own, with real fsync; prints bar, value
# and verdict. Owns: $DRYDOCK_STATE (default .local/bench). Arguments go to drydock-bench-api (--help).
set -euo pipefail
DRYDOCK_STATE=${DRYDOCK_STATE:-.local/bench}
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

bench_run drydock-bench-api "$@"
