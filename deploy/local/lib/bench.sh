# shellcheck shell=bash
# Benchmarks on private servers of their own, with real fsync: release binaries, servers up, what the programs ask for in the
# environment, servers down however it ends.

bench_stop() {
  local code=$?
  trap - EXIT INT TERM
  servers_stop
  exit "$code"
}

# bench_run PROGRAM ARGUMENTS…
bench_run() {
  local program=$1
  shift
  export DRYDOCK_STATE=$STATE
  build_release
  trap bench_stop EXIT
  trap 'exit 130' INT TERM
  "$ROOT/deploy/local/up.sh" --servers-only
  environment_load
  export DRYDOCK_TEST_AMQP_URL=$DRYDOCK_AMQP_URL DRYDOCK_TEST_S3_ENDPOINT=$DRYDOCK_S3_ENDPOINT DRYDOCK_TEST_S3_BUCKET=$DRYDOCK_S3_BUCKET
  DRYDOCK_TEST_DATABASE_URL=postgres://postgres:$(setting_get postgres_password)@127.0.0.1:$(setting_get postgres_port)/postgres
  export DRYDOCK_TEST_DATABASE_URL
  "$BINARIES/$program" "$@"
}
