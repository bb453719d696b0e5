#!/usr/bin/env bash
# Installs the named Debian packages, as root, without letting them start a server or create a database cluster.
# Owns: /usr/sbin/policy-rc.d and one file in /etc/postgresql-common while it runs; both are put back whatever happens.
# Refuses: upgrading a package that is installed, restarting anything that runs.
set -euo pipefail

POLICY=/usr/sbin/policy-rc.d
SAVED=$POLICY.before-drydock
CLUSTER_DIR=/etc/postgresql-common/createcluster.d
CLUSTER_CONF=$CLUSTER_DIR/drydock.conf
# Units that the packages below enable, for the next boot too. A private instance is all that is wanted here.
SERVICES=(rabbitmq-server.service epmd.socket epmd.service)

put_back() {
  if grep -qs 'written by drydock' "$POLICY"; then
    rm -f "$POLICY"
  fi
  if [[ -e $SAVED ]]; then
    mv "$SAVED" "$POLICY"
  fi
  rm -f "$CLUSTER_CONF"
  rmdir -p --ignore-fail-on-non-empty "$CLUSTER_DIR" 2>/dev/null || true
}

# invoke-rc.d and deb-systemd-invoke ask policy-rc.d before they start anything; 101 means no.
forbid_starts() {
  if [[ -x $POLICY ]] && ! "$POLICY" rabbitmq-server start >/dev/null 2>&1; then
    return # whoever set this machine up already said no
  fi
  if [[ -e $POLICY ]]; then
    mv "$POLICY" "$SAVED"
  fi
  printf '#!/bin/sh\n# written by drydock, for one installation\nexit 101\n' >"$POLICY"
  chmod 0755 "$POLICY"
}

forbid_cluster() {
  mkdir -p "$CLUSTER_DIR"
  printf 'create_main_cluster = false\n' >"$CLUSTER_CONF"
}

install() {
  DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get install -y --no-install-recommends --no-upgrade \
    -o DPkg::Lock::Timeout=300 "$@"
}

is_known() {
  apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [^(]'
}

installed() {
  dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

main() {
  exec 8>/run/lock/drydock-packages.lock
  flock 8
  put_back # a run that was killed may have left its files
  trap put_back EXIT
  local fresh=() package
  for package in "$@" erlang-base; do
    installed "$package" || fresh+=("$package")
  done
  forbid_starts
  forbid_cluster
  for package in "$@"; do
    is_known "$package" || { apt-get update; break; }
  done
  # A package list that is too old names files that are gone from the mirror: fetch it again, once.
  install "$@" || { apt-get update && install "$@"; }
  if [[ " ${fresh[*]} " == *" rabbitmq-server "* ]] && command -v systemctl >/dev/null; then
    systemctl disable "${SERVICES[@]}" || true
  fi
}

main "$@"
