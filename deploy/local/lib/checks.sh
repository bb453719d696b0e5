# shellcheck shell=bash
# Checks that need no server: file length, shell scripts, formatting, clippy. One profile only (dev), as the tests use.
# Refuses: changing a file.

MAX_LINES=400

# Files that git knows or would know: what is ignored is nobody's source.
source_files() {
  (cd "$ROOT" && git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do
    [[ ! -f $file ]] || printf '%s\n' "$file"
  done)
}

check_lengths() {
  local long
  long=$(source_files '*.rs' '*.sh' | (cd "$ROOT" && xargs -r -d '\n' wc -l) |
    awk -v max="$MAX_LINES" '$2 != "total" && $1 > max { print "  " $2 ": " $1 " lines" }')
  [[ -z $long ]] || fail "files longer than $MAX_LINES lines:"$'\n'"$long" "split them by what they own"
}

check_scripts() {
  local file
  while read -r file; do
    bash -n "$ROOT/$file" || fail "$file is not valid bash"
  done < <(source_files '*.sh' .ci/run)
  if command -v shellcheck >/dev/null; then
    (cd "$ROOT" && source_files '*.sh' .ci/run | xargs -r -d '\n' shellcheck -x -P SCRIPTDIR) || fail "shellcheck found something"
  else
    say "shellcheck is not installed: scripts were only parsed"
  fi
}

cargo_here() {
  (cd "$ROOT" && cargo "$@" 9>&-)
}

check_sources() {
  command -v cargo >/dev/null || fail "cargo is not on PATH" "install Rust (https://rustup.rs)"
  check_lengths
  check_scripts
  say "cargo fmt"
  cargo_here fmt --all --check || fail "the formatting differs" "cargo fmt --all"
  cargo_here fmt --manifest-path fuzz/Cargo.toml --check || fail "the formatting of fuzz/ differs" "cargo fmt --manifest-path fuzz/Cargo.toml"
  say "cargo clippy"
  cargo_here clippy --workspace --all-targets --locked -- -D warnings || fail "clippy found something"
}

# run_tests ARGUMENT…: with cargo nextest where present, else cargo test.
run_tests() {
  if cargo nextest --version >/dev/null 2>&1; then
    cargo_here nextest run --locked "$@"
  else
    cargo_here test --locked "$@"
  fi
}

# The unit tests that need no servers; `.config/nextest.toml` lists those that do.
run_unit_tests() {
  if cargo nextest --version >/dev/null 2>&1; then
    cargo_here nextest run --locked --profile check --workspace --lib --bins
  else
    cargo_here test --locked --workspace --lib --bins -- --skip workspace::tests::
  fi
}
