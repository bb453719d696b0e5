#!/usr/bin/env bash
# make bench-jail: measures what walls add to a job's start, and how fast a big tree of processes ends; prints value, bar and verdict.
# Owns nothing. Refuses: an unoptimized build.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

packages_for_build
cargo_here bench --quiet --locked -p drydock-jail --bench jail
