#!/usr/bin/env bash
# rabbitmqctl (or rabbitmq-queues, rabbitmq-diagnostics: DRYDOCK_RABBITMQ_TOOL) against the private node.
# Refuses: any other node; name, cookie and epmd port are the private node's.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

process_alive rabbitmq || fail "the private RabbitMQ of $STATE does not run" "make up"
home=$(setting_get rabbitmq_home)
mapfile -t environment < <(rabbitmq_environment "$home")
user_words rabbitmq
cd /
exec env -i "${environment[@]}" "${AS_USER[@]}" "$RABBITMQ_BIN/${DRYDOCK_RABBITMQ_TOOL:-rabbitmqctl}" "$@"
