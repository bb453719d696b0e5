#!/usr/bin/env bash
# make sbom: what is in each program that is shipped, as CycloneDX 1.5 documents in .local/sbom, by cargo-cyclonedx of crates.io, which is installed
# in .local/tools once. Its version is pinned here.
# Owns: .local/sbom, .local/tools; documents beside manifests, which are moved. Refuses: a document that lacks a direct dependency.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

CYCLONEDX=cargo-cyclonedx@0.5.9
TOOLS=$ROOT/.local/tools
SBOM=$ROOT/.local/sbom
# Program and crate.
SHIPPED=(drydock-api:drydock-api drydock-dispatcher:drydock-dispatcher drydock-worker:drydock-worker drydock-jail:drydock-jail
  drydock-preview:drydock-worker drydock-agent-dummy:drydock-agent drydock:drydock-cli)

install_cyclonedx() {
  local log=$STATE/log/sbom.log
  if [[ -x $TOOLS/bin/cargo-cyclonedx && $(cat "$TOOLS/cyclonedx.version" 2>/dev/null) == "$CYCLONEDX" ]]; then
    return
  fi
  packages_for_build
  say "installing $CYCLONEDX with cargo, details in $log"
  cargo install --quiet --locked --debug --config profile.dev.debug=0 --root "$TOOLS" --target-dir "$TOOLS/target" "$CYCLONEDX" \
    >"$log" 2>&1 9>&- || { show_log "$log"; fail "cargo could not install $CYCLONEDX" "see $log"; }
  rm -rf "$TOOLS/target"
  printf '%s\n' "$CYCLONEDX" >"$TOOLS/cyclonedx.version"
}

# check PROGRAM CRATE: it is a document of this program and holds whatever cargo says that the crate depends on here.
check() {
  cargo_here metadata --locked --offline --format-version 1 --filter-platform "$(rustc -vV | sed -n 's/^host: //p')" |
    python3 "$ROOT/deploy/local/sbom_check.py" "$SBOM/$1.cdx.json" "$1" "$2" || fail "$SBOM/$1.cdx.json is not whole" "see the message above"
}

mkdir -p "$TOOLS" "$STATE/log"
exec 9>>"$TOOLS/lock"
flock 9
install_cyclonedx
rm -rf "$SBOM"
mkdir -p "$SBOM"
PATH=$TOOLS/bin:$PATH cargo_here cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --no-build-deps 9>&- ||
  fail "cargo-cyclonedx could not describe the workspace"
for one in "${SHIPPED[@]}"; do
  find "$ROOT" -path "$ROOT/target" -prune -o -name "${one%%:*}_bin.cdx.json" -exec mv {} "$SBOM/${one%%:*}.cdx.json" \;
done
find "$ROOT" -path "$ROOT/target" -prune -o -name '*_bin.cdx.json' -exec rm {} +
for one in "${SHIPPED[@]}"; do
  check "${one%%:*}" "${one##*:}"
done
say "what is in ${#SHIPPED[@]} programs: $SBOM"
