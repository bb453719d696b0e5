# shellcheck shell=bash
# Services: api, dispatcher and two workers from target/release, with the shared environment and settings of their own.
# Refuses: starting before the schema is there; `drydock admin migrate` runs first.

BINARIES=$ROOT/target/release

services_choose_ports() {
  if [[ -n ${DRYDOCK_PORT:-} ]]; then
    port_demand api api "$DRYDOCK_PORT"
  else
    port_choose api api 8080
  fi
  port_choose api_admin api
  port_choose dispatcher_admin dispatcher
  port_choose worker_1_admin worker-1
  port_choose worker_2_admin worker-2
}

services_migrate() {
  local log=$STATE/log/migrate.log
  postgres_service_roles
  (environment_load && "$BINARIES/drydock" admin migrate --api-role drydock_api --fleet-role drydock_fleet) >"$log" 2>&1 ||
    { show_log "$log"; fail "could not bring the database to the newest schema" "see $log"; }
}

# service_start NAME PROGRAM ADMIN SETTING…: (re)starts it when it is not running from this binary with these settings.
service_start() {
  local name=$1 program=$BINARIES/$2 admin=$3
  shift 3
  (
    environment_load
    unset DRYDOCK_PORT DRYDOCK_STATE MAKEFLAGS MAKELEVEL MFLAGS
    for setting in "DRYDOCK_ADMIN_ADDR=127.0.0.1:$(setting_get "${admin}_port")" \
      "DRYDOCK_DEFAULT_AGENT=${DRYDOCK_DEFAULT_AGENT:-dummy}" "$@"; do
      export "${setting?}"
    done
    process_replace "$name" 30 "$program"
  )
}

# What jobs have to be able to read beside the system's own: agents that `make agents` installed, and what is on the PATH (not Cargo's, whose
# directory has the keys of registries).
services_toolchains() {
  local entry found=()
  [[ ! -d $ROOT/.local/agents ]] || found+=("$ROOT/.local/agents")
  while IFS= read -r -d : entry; do
    [[ $entry != /*/* || $entry == /usr/* || ! -d ${entry%/*} || ${entry%/*} == "$HOME" || $entry == */.cargo/* ]] || found+=("${entry%/*}")
  done <<<"$PATH:"
  local IFS=:
  printf '%s' "${found[*]}"
}

services_start() {
  local codex=$ROOT/.local/agents/node_modules/.bin/codex
  # `make down` should not wait minutes for a long job: what is left after this is handed back and runs again.
  local worker=("DRYDOCK_DRAIN_TIMEOUT=${DRYDOCK_DRAIN_TIMEOUT:-20s}")
  [[ ! -x $codex ]] || worker+=("DRYDOCK_CODEX_BIN=$codex")
  worker+=("DRYDOCK_JAIL_READ=${DRYDOCK_JAIL_READ:-$(services_toolchains)}")
  local fleet
  fleet=DRYDOCK_DATABASE_URL=$(environment_database drydock_fleet)
  service_start api drydock-api api_admin "DRYDOCK_API_ADDR=127.0.0.1:$(setting_get api_port)" \
    "DRYDOCK_DATABASE_URL=$(environment_database drydock_api)"
  service_start dispatcher drydock-dispatcher dispatcher_admin "$fleet"
  service_start worker-1 drydock-worker worker_1_admin "$fleet" "DRYDOCK_SCRATCH_DIR=$STATE/scratch/worker-1" "${worker[@]}"
  service_start worker-2 drydock-worker worker_2_admin "$fleet" "DRYDOCK_SCRATCH_DIR=$STATE/scratch/worker-2" "${worker[@]}"
}

service_is_ready() {
  curl --silent --fail --max-time 2 --output /dev/null "$1/readyz"
}

services_await() {
  await api 60 service_is_ready "$(environment_url api_admin)"
  await dispatcher 60 service_is_ready "$(environment_url dispatcher_admin)"
  await worker-1 60 service_is_ready "$(environment_url worker_1_admin)"
  await worker-2 60 service_is_ready "$(environment_url worker_2_admin)"
}

services_stop() {
  # Workers first: they hand back what they cannot finish while the others still listen.
  process_stop TERM 40 worker-1 worker-2
  process_stop TERM 20 dispatcher api
}
