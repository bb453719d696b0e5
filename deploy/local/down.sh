#!/usr/bin/env bash
# make down: stops what `make up` started, services before the servers they use. Data stays.
# Refuses: signalling anything but the recorded processes.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

if [[ ! -d $STATE ]]; then
  say "nothing to stop: there is no $STATE"
  exit
fi
state_lock
services_stop
servers_stop
