#!/usr/bin/env bash
# make test: every check, every test and a chaos run, against private servers of this run, which start while cargo builds.
# Owns: $DRYDOCK_STATE (default .local/test), made anew by each run. Always stops its servers; the exit code is the tests'.
# Refuses: the caller's DRYDOCK_ settings; a test sees only what is set here.
set -euo pipefail
DRYDOCK_STATE=${DRYDOCK_STATE:-.local/test}
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"
environment_clean
export DRYDOCK_STATE=$STATE DRYDOCK_FAST_DISKS=1
# Each seed is another plan; a fixed one makes two runs of CI alike. `make chaos` takes any.
CHAOS_SEED=1

stop() {
  local code=$?
  trap - EXIT INT TERM
  # What is being started cannot be stopped yet.
  [[ -z ${servers:-} ]] || wait "$servers" || true
  servers_stop
  if ((code == 0)); then
    state_remove
  else
    say "failed; what the servers wrote stays in $STATE until the next run"
  fi
  exit "$code"
}

# Tests clone databases, so they get the superuser.
tests_environment() {
  unset DRYDOCK_FAST_DISKS DRYDOCK_STATE
  environment_load
  local amqp=$DRYDOCK_AMQP_URL endpoint=$DRYDOCK_S3_ENDPOINT bucket=$DRYDOCK_S3_BUCKET
  environment_clean
  export DRYDOCK_TEST_DATABASE_URL DRYDOCK_TEST_AMQP_URL=$amqp DRYDOCK_TEST_S3_ENDPOINT=$endpoint DRYDOCK_TEST_S3_BUCKET=$bucket
  DRYDOCK_TEST_DATABASE_URL=postgres://postgres:$(setting_get postgres_password)@127.0.0.1:$(setting_get postgres_port)/postgres
  export DRYDOCK_CODEX_BIN=$ROOT/.local/agents/node_modules/.bin/codex
  export DRYDOCK_TEST_PYTHON_BIN=$ROOT/.local/python/venv/bin
  export DRYDOCK_TEST_SERENA_BIN=$ROOT/.local/python/serena/bin
}

# Its servers may keep their data elsewhere.
chaos_clean() {
  DRYDOCK_STATE=$STATE/chaos "$ROOT/deploy/local/clean.sh"
}

# Those of tests that were killed before they could remove them.
brokers_clean() {
  local left
  for left in "$ROOT"/.local/broker-*/; do
    [[ ! -d $left ]] || DRYDOCK_STATE=${left%/} "$ROOT/deploy/local/clean.sh"
  done
}

state_prepare
trap stop EXIT
trap 'exit 130' INT TERM
# What a run that was killed left behind.
chaos_clean
brokers_clean
servers_stop
state_remove
state_prepare

packages_for_build
packages_for_tests
servers_choose_ports
services_choose_ports
(servers_start_installed && "$ROOT/deploy/local/agents.sh" && "$ROOT/deploy/local/python.sh" &&
  "$ROOT/deploy/local/deny.sh" --install) &
servers=$!
check_sources
say "cargo build"
cargo_here build --workspace --bins --tests --locked || fail "the build failed" "see the compiler's messages above"
wait "$servers" || fail "the servers did not start" "see the messages above"
servers=
s3_start "$ROOT/target/debug/drydock-s3"
environment_write
tests_environment
say "everything is built and up after $SECONDS s; running the tests"
run_tests --workspace
say "the tests of agents once more, behind walls"
DRYDOCK_TEST_ISOLATION=landlock run_tests -p drydock-agent --test it -E 'not test(/^jailed::/)'
say "cargo test --doc"
cargo_here test --workspace --doc --locked --quiet
say "licences, bans and sources of dependencies"
"$ROOT/deploy/local/deny.sh"
say "fuzz targets: 20 s each"
"$ROOT/deploy/local/fuzz.sh" --seconds 20 --inputs "$STATE/fuzz"
say "chaos: 90 s of faults on servers of their own"
DRYDOCK_STATE=$STATE/chaos "$ROOT/deploy/local/chaos.sh" --built --seed "$CHAOS_SEED"
chaos_clean
say "passed in $SECONDS s"
