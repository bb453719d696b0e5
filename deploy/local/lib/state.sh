# shellcheck shell=bash
# State: where everything of one local stack lives, what is remembered between runs, and the lock on it.
# Refuses: a directory that is not ours, so that `clean` can never remove somebody's files.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
STATE=${DRYDOCK_STATE:-.local}
[[ $STATE == /* ]] || STATE=$ROOT/$STATE
# Where servers keep their data when their user cannot reach $STATE.
ELSEWHERE=/var/lib/drydock-local

# Settings remembered between runs: one file each, so that writers in parallel never meet.
setting_get() {
  cat "$STATE/settings/$1" 2>/dev/null || true
}

setting_set() {
  local file=$STATE/settings/$1
  (umask 077 && printf '%s\n' "$2" >"$file.$BASHPID" && mv "$file.$BASHPID" "$file")
}

# setting_secret NAME: the remembered secret, made from 128 random bits the first time.
setting_secret() {
  if [[ -z $(setting_get "$1") ]]; then
    setting_set "$1" "$(od -An -v -N16 -tx1 /dev/urandom | tr -d ' \n')"
  fi
  setting_get "$1"
}

# setting_key NAME: the remembered key, 32 random bytes in base64 without its `=`, made the first time.
setting_key() {
  if [[ -z $(setting_get "$1") ]]; then
    setting_set "$1" "$(head -c 32 /dev/urandom | base64 | tr -d '=\n')"
  fi
  setting_get "$1"
}

state_is_ours() {
  [[ $STATE == "$ROOT/.local" || $STATE == "$ROOT/.local/"* || -f $STATE/.drydock-state ]]
}

# The marker holds the path it was made for: a copied checkout must not stop the original's processes.
state_check() {
  [[ -d $STATE ]] || return 0
  if ! state_is_ours && [[ -n $(ls -A "$STATE") ]]; then
    fail "$STATE is not empty and was not made by these scripts" "set DRYDOCK_STATE to a new directory"
  fi
  [[ -O $STATE ]] || fail "$STATE belongs to another user" "run this as that user, or choose another DRYDOCK_STATE"
  if [[ -f $STATE/.drydock-state && $(<"$STATE/.drydock-state") != "$STATE" ]]; then
    fail "$STATE was moved or copied from $(<"$STATE/.drydock-state")" "remove it: rm -rf $STATE"
  fi
}

# state_lock: one up, down, clean or test at a time for a state directory. File descriptor 9 holds the lock;
# process_start closes it, so that a server never keeps it.
state_lock() {
  state_check
  while mkdir -p "$STATE" && exec 9>>"$STATE/lock"; do
    if ! flock -n 9; then
      say "waiting for the run that is working on $STATE (process $(tail -n 1 "$STATE/lock"))"
      flock 9
    fi
    # Whoever had it may have removed the directory: then this is a lock on nothing.
    [[ ! $STATE/lock -ef /dev/fd/9 ]] || break
  done
  printf '%s\n' "$$" >"$STATE/lock"
}

# state_prepare: takes the lock and makes the directories.
state_prepare() {
  state_lock
  mkdir -p "$STATE"/{run,log,settings,scratch}
  chmod 0755 "$STATE" "$STATE"/{run,log}
  chmod 0700 "$STATE"/{settings,scratch}
  printf '%s\n' "$STATE" >"$STATE/.drydock-state"
}

# server_home NAME USER: a 0700 directory of USER that USER can reach: under $STATE, or else under $ELSEWHERE, remembered.
server_home() {
  local name=$1 user=$2 home
  home=$(setting_get "${name}_home")
  if [[ -n $home && -d $home ]]; then
    printf '%s\n' "$home"
    return
  fi
  home=$STATE/$name
  mkdir -p "$home"
  if is_root; then
    chown "$user:$user" "$home"
  fi
  chmod 0700 "$home"
  if ! as_user "$user" test -w "$home" 2>/dev/null; then
    rmdir "$home"
    mkdir -p "$ELSEWHERE"
    chmod 0755 "$ELSEWHERE"
    home=$(mktemp -d "$ELSEWHERE/$name.XXXXXX")
    printf '%s\n' "$STATE" >"$home/.drydock-state"
    chown "$user:$user" "$home"
    say "user $user cannot reach $STATE: $name keeps its data in $home"
  fi
  setting_set "${name}_home" "$home"
  printf '%s\n' "$home"
}

# state_remove: every file of this state, those elsewhere too.
state_remove() {
  local name home
  for name in postgres rabbitmq; do
    home=$(setting_get "${name}_home")
    if [[ $home == "$ELSEWHERE/"* && -f $home/.drydock-state && $(<"$home/.drydock-state") == "$STATE" ]]; then
      rm -rf "$home"
    fi
  done
  rmdir "$ELSEWHERE" 2>/dev/null || true
  rm -rf "$STATE"
}
