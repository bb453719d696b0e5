#!/usr/bin/env bash
# make check: file length, scripts, formatting, clippy and the unit tests. No servers, nothing installed.
# Tests that need servers live in a crate's tests/it/, or are listed in .config/nextest.toml, and run with `make test`.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

check_sources
run_unit_tests
say "checked in $SECONDS s"
