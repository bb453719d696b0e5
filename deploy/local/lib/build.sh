# shellcheck shell=bash
# Building: the only place that calls cargo for `up`. The lock's descriptor stays here, not in compilers.
# Refuses: choosing crates one by one; the whole workspace is resolved at once, so that no dependency is built twice.

build_release() {
  command -v cargo >/dev/null || fail "cargo is not on PATH" "install Rust (https://rustup.rs), then run this again"
  if [[ ! -x $ROOT/target/release/drydock-api ]]; then
    say "building the release binaries: about ten minutes the first time on two cores, seconds afterwards"
  fi
  (cd "$ROOT" && cargo build --release --workspace --bins --locked 9>&-) ||
    fail "the build failed" "see the compiler's messages above"
}
