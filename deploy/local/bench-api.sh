#!/usr/bin/env bash
# make bench-api: measures the API with release binaries on private servers of its own, with real fsync; prints bar, value
# and verdict. Owns: $DRYDOCK_STATE (default .local/bench). Arguments go to drydock-bench-api (--help).
set -euo pipefail
DRYDOCK_STATE=${DRYDOCK_STATE:-.local/bench}
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"
export DRYDOCK_STATE=$STATE

stop() {
  local code=$?
  trap - EXIT INT TERM
  servers_stop
  exit "$code"
}

build_release
trap stop EXIT
trap 'exit 130' INT TERM
"$ROOT/deploy/local/up.sh" --servers-only
environment_load
export DRYDOCK_TEST_AMQP_URL=$DRYDOCK_AMQP_URL DRYDOCK_TEST_S3_ENDPOINT=$DRYDOCK_S3_ENDPOINT DRYDOCK_TEST_S3_BUCKET=$DRYDOCK_S3_BUCKET
DRYDOCK_TEST_DATABASE_URL=postgres://postgres:$(setting_get postgres_password)@127.0.0.1:$(setting_get postgres_port)/postgres
export DRYDOCK_TEST_DATABASE_URL
"$BINARIES/drydock-bench-api" "$@"
