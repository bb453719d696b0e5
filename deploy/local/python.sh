#!/usr/bin/env bash
# Programs of PyPI that tests run, into .local/python, once: Schemathesis, which compares the API with its document, and the generator of
# Python clients. Their versions are pinned in requirements.txt and nowhere else.
# Owns: .local/python. Refuses: the system's Python packages.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

PYTHON=$ROOT/.local/python
WANTED=$ROOT/deploy/local/requirements.txt

mkdir -p "$PYTHON" "$STATE/log"
exec 9>>"$PYTHON/lock"
flock 9
if [[ -x $PYTHON/venv/bin/schemathesis ]] && cmp -s "$WANTED" "$PYTHON/installed.txt"; then
  exit
fi
packages_for_python
log=$STATE/log/python.log
say "installing Python programs of tests with pip, details in $log"
rm -rf "$PYTHON/venv"
{
  python3 -m venv "$PYTHON/venv" && "$PYTHON/venv/bin/pip" install --disable-pip-version-check --no-deps -r "$WANTED"
} >"$log" 2>&1 9>&- || { show_log "$log"; fail "pip could not install what $WANTED lists" "see $log"; }
for program in schemathesis openapi-python-client; do
  "$PYTHON/venv/bin/$program" --version >>"$log" 2>&1 ||
    { show_log "$log"; fail "the installed $program does not run" "see $log"; }
done
cp "$WANTED" "$PYTHON/installed.txt"
say "installed in $SECONDS s"
