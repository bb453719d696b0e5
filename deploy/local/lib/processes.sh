# shellcheck shell=bash
# Processes: starting in a session of its own, telling whether it still is ours, and ending it.
# Refuses: signalling anything by name, or a pid whose start time is not the recorded one (it was given to another program).

# The kernel's start time of a pid, in clock ticks since boot: with the pid, it names one process for ever.
process_started_at() {
  local stat boot
  { read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
  stat=${stat##*) } # the name before this may hold spaces and parentheses
  # shellcheck disable=SC2086 # split into fields on purpose
  set -- $stat
  [[ $1 != Z && $1 != X ]] || return 1
  read -r boot </proc/sys/kernel/random/boot_id
  printf '%s %s\n' "$boot" "${20}"
}

process_alive() {
  local pid recorded
  { read -r pid <"$STATE/run/$1.pid" && read -r recorded <"$STATE/run/$1.start"; } 2>/dev/null || return 1
  [[ -n $pid && $(process_started_at "$pid") == "$recorded" ]]
}

# process_start NAME PROGRAM…: stdin closed, output appended to its log, no descriptor of ours kept open.
process_start() {
  local name=$1 pid
  shift
  (
    for descriptor in /proc/"$BASHPID"/fd/*; do
      descriptor=${descriptor##*/}
      ((descriptor > 2 && descriptor != 255)) && eval "exec $descriptor>&-"
    done
    exec setsid "$@"
  ) </dev/null >>"$STATE/log/$name.log" 2>&1 &
  pid=$!
  process_started_at "$pid" >"$STATE/run/$name.start" || true
  printf '%s\n' "$pid" >"$STATE/run/$name.pid"
}

process_forget() {
  rm -f "$STATE/run/$1".{pid,start,fingerprint,address}
}

# Whoever is left in the session of a process that has ended: an agent it started, a port helper.
process_end_session() {
  local leader=$1 file stat
  for file in /proc/[0-9]*/stat; do
    { read -r stat <"$file"; } 2>/dev/null || continue
    # shellcheck disable=SC2086 # state, parent, process group, session: split on purpose
    set -- ${stat##*) }
    if [[ ${4:-} == "$leader" ]]; then
      file=${file#/proc/}
      kill -KILL "${file%/stat}" 2>/dev/null || true
    fi
  done
}

# process_stop SIGNAL GRACE_SECONDS NAME…: all at once, then KILL for those that are still there after the grace.
process_stop() {
  local signal=$1 grace=$2 name pid deadline
  shift 2
  local -A running=()
  for name in "$@"; do
    if process_alive "$name"; then
      running[$name]=$(<"$STATE/run/$name.pid")
      kill "-$signal" "${running[$name]}" 2>/dev/null || true
    else
      process_forget "$name"
    fi
  done
  deadline=$((SECONDS + grace))
  for name in "${!running[@]}"; do
    pid=${running[$name]}
    while process_alive "$name" && ((SECONDS < deadline)); do
      sleep 0.05
    done
    if process_alive "$name"; then
      say "$name did not stop within $grace s: killing it"
      kill -KILL "$pid" 2>/dev/null || true
    fi
    process_end_session "$pid"
    process_forget "$name"
    say "stopped $name"
  done
}

# await NAME SECONDS CHECK…: until CHECK succeeds. Fails at once when the process NAME is gone.
await() {
  local name=$1 seconds=$2 deadline=$((SECONDS + $2))
  shift 2
  until "$@"; do
    if ! process_alive "$name"; then
      show_log "$STATE/log/$name.log"
      fail "$name ended while it was starting" "see $STATE/log/$name.log"
    fi
    if ((SECONDS >= deadline)); then
      show_log "$STATE/log/$name.log"
      fail "$name was not ready after $seconds s" "see $STATE/log/$name.log"
    fi
    sleep 0.05
  done
}

# The fingerprint of what a process was started from: its binary, its arguments, and the settings that reach it. When it
# changes, `up` restarts the process. Only a hash is kept, because the settings hold secrets.
process_fingerprint() {
  {
    stat -Lc '%i %s %Y' "$1"
    printf '%s\n' "$@"
    env | grep -E '^(DRYDOCK_|AWS_|ALLOW_|OPENAI_|CODEX_|RUST_)' | grep -vE '^DRYDOCK_(STATE|PORT|FAST_DISKS)=' | sort
  } | sha256sum | cut -d' ' -f1
}

# process_is_current NAME PROGRAM…
process_is_current() {
  local name=$1
  shift
  process_alive "$name" && [[ $(cat "$STATE/run/$name.fingerprint" 2>/dev/null) == "$(process_fingerprint "$@")" ]]
}

# process_replace NAME GRACE_SECONDS PROGRAM…: runs it, unless exactly this runs already.
process_replace() {
  local name=$1 grace=$2
  shift 2
  process_is_current "$name" "$@" && return
  if process_alive "$name"; then
    say "$name: its binary or its settings changed"
  fi
  process_stop TERM "$grace" "$name"
  process_start "$name" "$@"
  process_fingerprint "$@" >"$STATE/run/$name.fingerprint"
}
