#!/usr/bin/env bash
# Programs of PyPI that tests run, into .local/python, once: Schemathesis, which compares the API with its document, the generator of
# Python clients, and Serena, a session server. Their versions are pinned in requirements*.txt and nowhere else.
# Owns: .local/python. Refuses: the system's Python packages.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

PYTHON=$ROOT/.local/python
log=$STATE/log/python.log

# environment NAME LIST PROGRAM...: the environment NAME has exactly what LIST names, and the programs run.
environment() {
  local place=$PYTHON/$1 wanted=$ROOT/deploy/local/$2 program
  shift 2
  if [[ -d $place ]] && cmp -s "$wanted" "$place/installed.txt"; then
    return
  fi
  packages_for_python
  say "installing Python programs of tests with pip, details in $log"
  rm -rf "$place"
  {
    python3 -m venv "$place" && "$place/bin/pip" install --disable-pip-version-check --no-deps -r "$wanted"
  } >>"$log" 2>&1 9>&- || { show_log "$log"; fail "pip could not install what $wanted lists" "see $log"; }
  for program in "$@"; do
    "$place/bin/$program" --help >>"$log" 2>&1 || { show_log "$log"; fail "the installed $program does not run" "see $log"; }
  done
  cp "$wanted" "$place/installed.txt"
  say "installed in $SECONDS s"
}

mkdir -p "$PYTHON" "$STATE/log"
exec 9>>"$PYTHON/lock"
flock 9
environment venv requirements.txt schemathesis openapi-python-client
environment serena requirements-serena.txt serena
