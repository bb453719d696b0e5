#!/usr/bin/env bash
# make status: one line for each process (pid, memory, port, ready or not) and where its log is. Exit 1 when one is missing.
# Refuses: changing anything.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

missing=0

# line NAME PORT_NAME [ADMIN_NAME]
line() {
  local name=$1 port pid memory condition=running
  port=$(setting_get "${2}_port")
  if ! process_alive "$name"; then
    printf '%-11s %-9s %8s %9s  %-6s %s\n' "$name" 'not here' - - "${port:--}" "$STATE/log/$name.log"
    missing=1
    return
  fi
  pid=$(<"$STATE/run/$name.pid")
  memory=$(awk '/^VmRSS/ { printf "%.0f MiB", $2 / 1024 }' "/proc/$pid/status")
  if [[ -n ${3:-} ]]; then
    condition=ready
    service_is_ready "$(environment_url "$3")" || condition='not ready'
  fi
  printf '%-11s %-9s %8s %9s  %-6s %s\n' "$name" "$condition" "$pid" "$memory" "$port" "$STATE/log/$name.log"
}

[[ -d $STATE/settings ]] || fail "there is no stack in $STATE" "make up"
printf '%-11s %-9s %8s %9s  %-6s %s\n' process state pid memory port log
line api api api_admin
line dispatcher dispatcher_admin dispatcher_admin
line worker-1 worker_1_admin worker_1_admin
line worker-2 worker_2_admin worker_2_admin
line postgres postgres
line rabbitmq rabbitmq
line epmd epmd
line s3 s3
exit "$missing"
