#!/usr/bin/env bash
# Starts one private RabbitMQ and nothing else, for a test that breaks it; prints its URL. Control it with rabbitmqctl.sh, remove
# it with clean.sh. Owns: $DRYDOCK_STATE, which must be given. Refuses: the caller's other DRYDOCK_ settings.
set -euo pipefail
: "${DRYDOCK_STATE:?set DRYDOCK_STATE to a directory for this server alone}"
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"
environment_clean

state_prepare
port_choose epmd epmd
port_choose rabbitmq rabbitmq
port_choose dist rabbitmq
rabbitmq_start
printf 'amqp://drydock:%s@127.0.0.1:%s/%%2f\n' "$(setting_get rabbitmq_password)" "$(setting_get rabbitmq_port)"
