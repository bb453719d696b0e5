#!/usr/bin/env bash
# make bench: measures the stack that `make up` started, with release binaries; prints bar, value and verdict.
# Refuses: a stack that does not run, because its figures would be somebody else's.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

environment_load
build_release
exec "$BINARIES/drydock-bench" --pids "$STATE/run" "$@"
