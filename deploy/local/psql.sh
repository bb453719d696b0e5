#!/usr/bin/env bash
# psql on the private database, as the role that the services use.
# Refuses: nothing; what you type is done.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

environment_load
# The password goes through the environment: a process list shows arguments to everybody.
PGPASSWORD=$(setting_get database_password)
export PGPASSWORD
exec "$(postgres_bin)/psql" -h 127.0.0.1 -p "$(setting_get postgres_port)" -U drydock drydock "$@"
