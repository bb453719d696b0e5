#!/usr/bin/env bash
# make live: L01 to L08 against a running stack (this machine's, or BASE_URL), evidence under OUTROOT.
# Refuses: starting a stack; without BASE_URL there must be one (make up).
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

arguments=("$@")
if [[ " $* " != *" --base-url "* ]]; then
  environment_load
  arguments+=(--base-url "$DRYDOCK_API_URL")
fi
[[ " $* " == *" --outroot "* ]] || arguments+=(--outroot "$STATE/live")
build_release
exec "$BINARIES/drydock-live" "${arguments[@]}"
