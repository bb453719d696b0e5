#!/usr/bin/env bash
# make agents: the real Codex CLI from npm into .local/agents, once. The version is pinned here and nowhere else.
# Owns: .local/agents. Refuses: a global npm install.
set -euo pipefail
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"

CODEX=@openai/codex@0.169.0
AGENTS=$ROOT/.local/agents

installed() {
  [[ -x $AGENTS/node_modules/.bin/codex && $(cat "$AGENTS/codex.version" 2>/dev/null) == "$CODEX" ]]
}

mkdir -p "$AGENTS" "$STATE/log"
exec 9>>"$AGENTS/lock"
flock 9
if installed; then
  exit
fi
packages_for_agents
log=$STATE/log/agents.log
say "installing $CODEX with npm, details in $log"
npm install --prefix "$AGENTS" --no-audit --no-fund --save-exact "$CODEX" >"$log" 2>&1 9>&- ||
  { show_log "$log"; fail "npm could not install $CODEX" "see $log"; }
"$AGENTS/node_modules/.bin/codex" --version >>"$log" 2>&1 ||
  { show_log "$log"; fail "the installed codex does not run" "see $log"; }
printf '%s\n' "$CODEX" >"$AGENTS/codex.version"
say "installed $CODEX in $SECONDS s"
