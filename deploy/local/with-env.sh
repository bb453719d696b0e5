#!/usr/bin/env bash
# with-env.sh PROGRAM…: runs it with the settings of the running stack ($DRYDOCK_STATE/env), the built binaries on PATH.
# Refuses: starting anything of the stack.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

environment_load
export PATH=$ROOT/target/release:$PATH
exec "$@"
