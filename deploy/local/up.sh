#!/usr/bin/env bash
# make up: installs what is missing, starts private servers while the release binaries build, applies the migrations,
# starts the services and runs the demo job once. A second run finds all of it done.
# Owns: $DRYDOCK_STATE (default .local). Refuses: touching any server that it did not start.
# up.sh --servers-only stops after PostgreSQL and RabbitMQ, and S3 when its binary is there.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

servers_only() {
  servers_start_installed
  local binary s3=
  for binary in "$ROOT"/target/{release,debug}/drydock-s3; do
    if [[ -x $binary ]]; then
      s3=$binary
      break
    fi
  done
  if [[ -n $s3 ]]; then
    s3_start "$s3"
  else
    say "no S3 server: drydock-s3 is not built yet; run 'cargo build -p drydock-s3' and this again"
  fi
  environment_write
}

everything() {
  local servers
  servers_start_installed &
  servers=$!
  packages_for_build
  build_release || { wait "$servers" || true; exit 1; }
  wait "$servers" || exit 1
  environment_write
  s3_start "$BINARIES/drydock-s3"
  services_migrate
  services_start
  services_await
  say "api, dispatcher, worker-1 and worker-2 are ready"
  "$ROOT/deploy/local/demo.sh"
}

state_prepare
servers_choose_ports
services_choose_ports
if [[ ${1:-} == --servers-only ]]; then
  servers_only
else
  everything
fi
say "up after $SECONDS s; settings in $STATE/env, logs in $STATE/log; stop with 'make down'"
