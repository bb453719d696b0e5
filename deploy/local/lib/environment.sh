# shellcheck shell=bash
# Environment: `$STATE/env`, the settings that services, the command line and people share, as plain KEY=value lines.
# Refuses: anything that belongs to one process only (its listen address, its scratch directory).

# environment_url NAME: the address of the process NAME's operations endpoints.
environment_url() {
  printf 'http://127.0.0.1:%s\n' "$(setting_get "$1_port")"
}

# environment_database ROLE: the database's address for a role of a service.
environment_database() {
  printf 'postgres://%s:%s@127.0.0.1:%s/drydock\n' "$1" "$(setting_secret "$1_password")" "$(setting_get postgres_port)"
}

environment_write() {
  local draft=$STATE/env.$BASHPID
  (
    umask 077
    cat >"$draft" <<ENV
DRYDOCK_API_URL=$(environment_url api)
DRYDOCK_DATABASE_URL=postgres://drydock:$(setting_secret database_password)@127.0.0.1:$(setting_get postgres_port)/drydock
DRYDOCK_AMQP_URL=amqp://drydock:$(setting_secret rabbitmq_password)@127.0.0.1:$(setting_get rabbitmq_port)/%2f?heartbeat=10
DRYDOCK_S3_ENDPOINT=$(environment_url s3)
DRYDOCK_S3_BUCKET=drydock
AWS_ACCESS_KEY_ID=$(setting_secret s3_access_key)
AWS_SECRET_ACCESS_KEY=$(setting_secret s3_secret_key)
DRYDOCK_WEBHOOK_KEY=$(setting_key webhook_key)
DRYDOCK_API_ADMIN=$(environment_url api_admin)
DRYDOCK_DISPATCHER_ADMIN=$(environment_url dispatcher_admin)
DRYDOCK_WORKER_1_ADMIN=$(environment_url worker_1_admin)
DRYDOCK_WORKER_2_ADMIN=$(environment_url worker_2_admin)
ENV
  )
  if cmp -s "$draft" "$STATE/env"; then
    rm "$draft"
  else
    mv "$draft" "$STATE/env"
  fi
}

# environment_load: exports every line. Values hold no quotes and no spaces, so that any tool can read the file.
environment_load() {
  [[ -f $STATE/env ]] || fail "there is no $STATE/env" "start the stack first: make up"
  local key value
  while IFS='=' read -r key value; do
    [[ -z $key || $key == '#'* ]] || export "$key=$value"
  done <"$STATE/env"
}

# environment_clean: forgets the DRYDOCK_ settings of the calling shell, so that tests run with ours alone.
environment_clean() {
  local name
  for name in "${!DRYDOCK_@}"; do
    unset "$name"
  done
}
