#!/usr/bin/env bash
# make deny: holds what we depend on to deny.toml, with cargo-deny of crates.io in .local/tools, installed once. Its version is pinned here.
# Advisories are checked where DRYDOCK_ADVISORIES names a directory with a snapshot of their database; else it says that they were not.
# Owns: .local/tools. Refuses: fetching a database, a global cargo install.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

DENY=cargo-deny@0.20.2
TOOLS=$ROOT/.local/tools

# Without optimization and features it is built in a third of the time, and checks in seconds.
install_deny() {
  local log=$STATE/log/deny.log
  if [[ -x $TOOLS/bin/cargo-deny && $(cat "$TOOLS/deny.version" 2>/dev/null) == "$DENY" ]]; then
    return
  fi
  packages_for_build
  say "installing $DENY with cargo, details in $log"
  cargo install --quiet --locked --debug --config profile.dev.debug=0 --no-default-features --root "$TOOLS" --target-dir "$TOOLS/target" \
    "$DENY" >"$log" 2>&1 9>&- || { show_log "$log"; fail "cargo could not install $DENY" "see $log"; }
  rm -rf "$TOOLS/target"
  printf '%s\n' "$DENY" >"$TOOLS/deny.version"
  say "installed $DENY in $SECONDS s"
}

# deny MANIFEST CHECK...
deny() {
  local manifest=$1
  shift
  # Of all systems: the graph is read whole before it is cut to ours.
  cargo_here fetch --quiet --locked --manifest-path "$manifest" || fail "cargo could not fetch what $manifest needs"
  "$TOOLS/bin/cargo-deny" --log-level error --locked --offline --manifest-path "$ROOT/$manifest" --config "$ROOT/deny.toml" check \
    --hide-inclusion-graph "$@" 9>&- || fail "the dependencies of $manifest are not as deny.toml has them"
}

mkdir -p "$TOOLS" "$STATE/log"
exec 9>>"$TOOLS/lock"
flock 9
install_deny
[[ ${1:-} != --install ]] || exit 0
checks=(licenses bans sources)
if [[ -n ${DRYDOCK_ADVISORIES:-} ]]; then
  checks+=(advisories)
else
  say "NOT RUN: advisories were not checked, because DRYDOCK_ADVISORIES names no snapshot of their database"
fi
# The configuration names it, checked or not.
export DRYDOCK_ADVISORIES=${DRYDOCK_ADVISORIES:-$TOOLS/advisories}
deny Cargo.toml "${checks[@]}"
deny fuzz/Cargo.toml "${checks[@]}"
