# shellcheck shell=bash
# Messages: one line for each fact, on stderr, so that stdout stays free for results.
# Refuses: deciding anything; `fail` only ends the (sub)shell that called it.

say() {
  printf '[%s] %s\n' "$(basename "$0" .sh)" "$*" >&2
}

# fail WHAT REMEDY: what went wrong, and what a person can do about it.
fail() {
  printf '[%s] error: %s\n' "$(basename "$0" .sh)" "$1" >&2
  if [[ -n ${2:-} ]]; then
    printf '[%s]        %s\n' "$(basename "$0" .sh)" "$2" >&2
  fi
  exit 1
}

# show_log FILE: the last lines of a log, indented, and where the rest is.
show_log() {
  local file=$1
  [[ -s $file ]] || { say "$file is empty"; return 0; }
  say "last lines of $file:"
  tail -n 12 "$file" | sed 's/^/    /' >&2
}
