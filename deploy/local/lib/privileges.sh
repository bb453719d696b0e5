# shellcheck shell=bash
# Privileges: running a program as another user, and running one as root.
# Refuses: keeping privileges; every call names the one program that needs them.

is_root() {
  [[ $(id -u) == 0 ]]
}

# user_words USER: sets AS_USER to the words to put before a program. setpriv execs, so the pid stays the same.
# PostgreSQL and RabbitMQ refuse or dislike root; when we are not root they simply run as ourselves.
user_words() {
  AS_USER=()
  if is_root; then
    AS_USER=(setpriv --reuid="$1" --regid="$1" --init-groups --)
  fi
}

# as_user USER PROGRAM…: from /, because USER may not be allowed to see the working directory.
as_user() {
  local AS_USER
  user_words "$1"
  shift
  (cd / && "${AS_USER[@]}" "$@")
}

# as_admin PROGRAM…: as root, directly or through sudo.
as_admin() {
  if is_root; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "this needs root: $*" "run it as root, install sudo, or install the packages yourself"
  fi
}
