# shellcheck shell=bash
# Ports: chosen once, remembered, and chosen again only when somebody else took the remembered one.
# Refuses: the ephemeral range (32768 and up), from which outgoing connections of anybody could take a port meanwhile.

PORT_LOW=20000
PORT_HIGH=29999

# port_taken PORT: whether anything listens on it, on any address. Read from the kernel, so that no tool is needed.
port_taken() {
  local hex
  printf -v hex ':%04X' "$1"
  awk -v port="$hex" '$4 == "0A" && substr($2, length($2) - 4) == port { found = 1 } END { exit !found }' \
    /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

port_remembered() {
  grep -qsx "$1" "$STATE"/settings/*_port
}

port_free() {
  local port try
  for ((try = 0; try < 200; try++)); do
    port=$((PORT_LOW + (RANDOM * 32768 + RANDOM) % (PORT_HIGH - PORT_LOW + 1)))
    if ! port_taken "$port" && ! port_remembered "$port"; then
      printf '%s\n' "$port"
      return
    fi
  done
  fail "no free port between $PORT_LOW and $PORT_HIGH" "see what listens there: ss -ltnp"
}

# port_choose NAME PROCESS [PREFERRED]: sees to it that NAME_port is remembered and free, or held by our PROCESS.
port_choose() {
  local name=$1 process=$2 preferred=${3:-} port
  port=$(setting_get "${name}_port")
  if [[ -n $port ]] && { process_alive "$process" || ! port_taken "$port"; }; then
    return
  fi
  if [[ -n $port ]]; then
    say "port $port of $name is taken by another program now: choosing another"
  fi
  if [[ -n $preferred ]] && ! port_taken "$preferred"; then
    port=$preferred
  else
    port=$(port_free)
  fi
  setting_set "${name}_port" "$port"
}

# port_demand NAME PROCESS PORT: exactly this port, because a person asked for it.
port_demand() {
  local name=$1 process=$2 port=$3
  if ! [[ $port =~ ^[1-9][0-9]{0,4}$ ]] || ((port > 65535)); then
    fail "'$port' is not a port number" "see DRYDOCK_PORT"
  fi
  if port_taken "$port" && ! { process_alive "$process" && [[ $(setting_get "${name}_port") == "$port" ]]; }; then
    fail "port $port is taken by another program" "choose another DRYDOCK_PORT, or leave it unset"
  fi
  setting_set "${name}_port" "$port"
}
