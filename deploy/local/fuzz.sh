#!/usr/bin/env bash
# make fuzz: builds the targets of fuzz/ with coverage feedback and runs one, or all, as many at once as there are processors.
# Owns: .local/fuzz (inputs found by a target, and what made it fail), target/fuzz. Refuses: a run that has no feedback.
# The compiler is the pinned one: the pass that counts is part of it, and asked for by what cargo-fuzz asks for it. No sanitizer.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

seconds=60
only=
inputs=$ROOT/.local/fuzz
build=true
while (($#)); do
  case $1 in
    --target) only=$2 ;;
    --seconds) seconds=$2 ;;
    --inputs) inputs=$2 ;;
    --built) build=false; shift; continue ;;
    *) fail "fuzz.sh: no option '$1'" "--target NAME, --seconds N, --inputs DIRECTORY" ;;
  esac
  shift 2
done

TRIPLE=$(rustc -vV | sed -n 's/^host: //p')
BUILT=$ROOT/target/fuzz/$TRIPLE/debug
# Of build scripts and macros no coverage is wanted, and with --target they get none.
FLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
FLAGS+=" -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"

targets() {
  local file
  for file in "$ROOT"/fuzz/fuzz_targets/*.rs; do
    basename "$file" .rs
  done
}

fuzz_build() {
  packages_for_build
  say "cargo build of the fuzz targets"
  RUSTFLAGS=$FLAGS CARGO_INCREMENTAL=0 cargo_here build --quiet --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz \
    --target "$TRIPLE" ${only:+--bin "$only"} ||
    fail "the fuzz targets do not build" "if fuzz/Cargo.lock is out of date: cargo metadata --manifest-path fuzz/Cargo.toml >/dev/null"
}

# run TARGET: its seeds and what was found before, then new inputs. What it finds is kept.
run() {
  local found=$inputs/$1 log=$inputs/$1.log
  mkdir -p "$found"
  if ! "$BUILT/$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="$inputs/$1-" "$found" "$ROOT/fuzz/seeds/$1" >"$log" 2>&1 9>&-; then
    show_log "$log"
    fail "the fuzz target $1 failed" "again: $BUILT/$1 and the file that it names above"
  fi
  grep -q 'inline 8-bit counters' "$log" && [[ -n $(ls -A "$found") ]] ||
    fail "the fuzz target $1 ran without coverage feedback" "see $log"
  say "$1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs, $(find "$found" -type f | wc -l) inputs, $(grep -o 'cov: [0-9]*' "$log" | tail -n 1)"
}

[[ -z $only || -f $ROOT/fuzz/fuzz_targets/$only.rs ]] || fail "no fuzz target '$only'" "one of: $(targets | xargs)"
! $build || fuzz_build
if [[ -n $only ]]; then
  run "$only"
else
  targets | xargs -P "$(nproc)" -I '{}' "$0" --built --target '{}' --seconds "$seconds" --inputs "$inputs"
fi
