#!/usr/bin/env bash
# make clean: down, then every file of this state goes, those kept elsewhere and those of states inside it (the tests') too.
# Refuses: build results (cargo clean), and a directory these scripts did not make.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

if [[ ! -d $STATE ]]; then
  say "nothing to remove: there is no $STATE"
  exit
fi
# States inside this one: the tests' and others that a person made with DRYDOCK_STATE.
for inner in "$STATE"/*/.drydock-state; do
  [[ ! -f $inner ]] || DRYDOCK_STATE=${inner%/*} "$0"
done
state_lock
services_stop
servers_stop
state_remove
say "removed $STATE"
