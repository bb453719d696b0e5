#!/usr/bin/env bash
# make bench-redact: measures how fast agents' output is cut into lines and freed of secrets; prints value, bar and verdict.
# Owns nothing. Refuses: an unoptimized build.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

packages_for_build
cargo_here bench --quiet --locked -p drydock-agent --bench redact
