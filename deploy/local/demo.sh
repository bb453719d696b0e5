#!/usr/bin/env bash
# The demo: one project made by the default agent, its files, its program run. Once; afterwards only its address is shown.
# Refuses: starting anything; `make up` runs it when the stack is ready.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

drydock=$BINARIES/drydock

project_exists() {
  [[ -n $1 ]] && curl --silent --fail --max-time 5 --output /dev/null "$DRYDOCK_API_URL/api/v1/projects/$1"
}

show_program() {
  local program
  program=$(mktemp -d)
  "$drydock" project cat "$1" app.py >"$program/app.py"
  printf 'app.py has %s lines' "$(wc -l <"$program/app.py")"
  if command -v python3 >/dev/null; then
    printf ', and python3 app.py prints:\n'
    python3 "$program/app.py" | sed 's/^/  /'
  else
    printf '; there is no python3 here to run it\n'
  fi
  rm -r "$program"
}

environment_load
project=$(setting_get demo_project)
if project_exists "$project"; then
  printf 'demo project: %s/api/v1/projects/%s\n' "$DRYDOCK_API_URL" "$project"
  exit
fi
say "demo: a project made by the agent '${DRYDOCK_DEFAULT_AGENT:-dummy}'"
project=$("$drydock" project create --wait 60s --instruction "Print the first ten Fibonacci numbers") ||
  fail "the demo job did not complete" "see $STATE/log/worker-1.log and worker-2.log"
printf 'project %s; its files:\n' "$project"
"$drydock" project files "$project" | sed 's/^/  /'
show_program "$project"
setting_set demo_project "$project"
printf 'open %s/api/v1/projects/%s\n' "$DRYDOCK_API_URL" "$project"
