#!/usr/bin/env bash
# make check: file length, scripts, formatting, clippy and the unit tests. No servers, nothing installed.
# Tests that need servers live in a crate's tests/it/ and run with `make test`.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

check_sources
run_tests --workspace --lib --bins
say "checked in $SECONDS s"
