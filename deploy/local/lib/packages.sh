# shellcheck shell=bash
# Packages: finds out which distribution packages are missing and has install-packages.sh install them.
# Refuses: upgrading or replacing anything that is there already.

RABBITMQ_BIN=/usr/lib/rabbitmq/bin
# The oldest releases this was run on; Debian 12 has exactly these.
POSTGRES_MIN=15

# The directory of the newest PostgreSQL server here, or nothing. initdb is not on PATH on Debian.
postgres_bin() {
  local newest
  newest=$(printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -t/ -k5 -n | tail -n 1)
  if [[ -x $newest ]]; then
    dirname "$newest"
  elif command -v initdb >/dev/null; then
    dirname "$(readlink -f "$(command -v initdb)")"
  fi
}

# packages_install WHY PACKAGE…
packages_install() {
  local why=$1 log=$STATE/log/packages.log started=$SECONDS
  shift
  command -v apt-get >/dev/null || fail "$why is missing and there is no apt-get here" \
    "install $* with your package manager and run this again, or use deploy/compose.yaml with Docker"
  is_root || command -v sudo >/dev/null || fail "$why is missing, and installing $* needs root" \
    "run this as root, install sudo, or have them installed: apt-get install $*"
  say "installing $* ($why); this can take a minute, details in $log"
  if ! as_admin bash "$ROOT/deploy/local/install-packages.sh" "$@" >>"$log" 2>&1; then
    show_log "$log"
    fail "could not install $*" "see $log; is the network there, and does 'apt-get update' work?"
  fi
  say "installed $* in $((SECONDS - started)) s"
}

# A C compiler and linker: some crates build C code, and rustc links with cc.
packages_for_build() {
  command -v cc >/dev/null || packages_install "a C compiler" gcc libc6-dev
}

packages_for_servers() {
  local missing=()
  [[ -n $(postgres_bin) ]] || missing+=(postgresql)
  [[ -x $RABBITMQ_BIN/rabbitmq-server ]] || missing+=(rabbitmq-server)
  if ((${#missing[@]})); then
    packages_install "a server" "${missing[@]}"
  fi
  local version
  version=$("$(postgres_bin)/postgres" --version | grep -oE '[0-9]+' | head -n 1)
  ((version >= POSTGRES_MIN)) || fail "PostgreSQL $version is too old" "install PostgreSQL $POSTGRES_MIN or newer"
}

# For tests that start a PostgreSQL whose clock differs, that make a file system which shares blocks, that read archives, that run transcripts.
packages_for_tests() {
  local found=(/usr/lib/*/faketime/libfaketime.so.1) missing=()
  [[ -e ${found[0]} ]] || missing+=(libfaketime)
  [[ -x /usr/sbin/mkfs.xfs || -x /sbin/mkfs.xfs ]] || missing+=(xfsprogs)
  command -v git >/dev/null || missing+=(git)
  command -v python3 >/dev/null || missing+=(python3)
  command -v cram3 >/dev/null || missing+=(python3-cram)
  command -v jq >/dev/null || missing+=(jq)
  if ((${#missing[@]})); then
    packages_install "what tests work with" "${missing[@]}"
  fi
}

# Debian's python3 cannot make an environment of its own without python3-venv.
packages_for_python() {
  python3 -c 'import ensurepip, venv' 2>/dev/null || packages_install "Python's venv" python3-venv
}

packages_for_agents() {
  local missing=()
  command -v node >/dev/null || missing+=(nodejs)
  command -v npm >/dev/null || missing+=(npm)
  if ((${#missing[@]})); then
    packages_install "Node's npm, for agents" "${missing[@]}"
  fi
}
