#!/usr/bin/env bash
# make chaos: breaks a stack of its own (SEED=, DURATION=) for a while and checks that every promise held; dev profile, because
# `make test` builds that one. Owns: $DRYDOCK_STATE (default .local/chaos), made anew by each run. Exit code 1 when one did not hold.
# Refuses: the servers of `make up` and `make test`, because it kills its own. `--built` skips the build.
set -euo pipefail
DRYDOCK_STATE=${DRYDOCK_STATE:-.local/chaos}
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"
environment_clean
export DRYDOCK_STATE=$STATE DRYDOCK_FAST_DISKS=1

chaos=$ROOT/target/debug/drydock-chaos
arguments=()
built=
for argument in "$@"; do
  if [[ $argument == --built ]]; then built=1; else arguments+=("$argument"); fi
done

stop() {
  local code=$?
  trap - EXIT INT TERM
  if [[ -n ${run:-} ]] && kill -0 "$run" 2>/dev/null; then
    kill -TERM "$run"
    wait "$run" || true
  fi
  servers_stop
  ((code == 0)) || say "failed; everything it wrote stays in $STATE until the next run"
  exit "$code"
}

# The run itself calls up.sh, which takes the state's lock: so this one holds another.
mkdir -p "$STATE"
exec 7>>"$STATE.lock"
flock -n 7 || fail "another chaos run works on $STATE" "wait for it, or set DRYDOCK_STATE"
(state_prepare && servers_stop && state_remove)
[[ -n $built ]] || cargo_here build --workspace --bins --locked || fail "the build failed" "see the compiler's messages above"
trap stop EXIT
trap 'exit 130' INT TERM
"$ROOT/deploy/local/up.sh" --servers-only 7>&-
"$chaos" run --state "$STATE" --scripts "$ROOT/deploy/local" --evidence "$STATE/evidence" "${arguments[@]}" 7>&- &
run=$!
wait "$run"
