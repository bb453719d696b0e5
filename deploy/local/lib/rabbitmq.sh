# shellcheck shell=bash
# RabbitMQ: one private node with its own name, cookie, epmd, ports, user and data; policies from deploy/rabbitmq.
# Refuses: everything of the distribution's node (/etc/rabbitmq, /var/lib/rabbitmq, the epmd on port 4369).

# What both the server and rabbitmqctl need to find this node and no other. HOME holds the Erlang cookie. Neither may start
# an epmd: a daemon that is nobody's would stay behind.
rabbitmq_environment() {
  local home=$1
  printf '%s\n' "HOME=$home" "PATH=/usr/sbin:/usr/bin:/sbin:/bin" LANG=C.UTF-8 \
    "ERL_EPMD_PORT=$(setting_get epmd_port)" ERL_EPMD_ADDRESS=127.0.0.1 "ERL_ZFLAGS=-start_epmd false" \
    "RABBITMQ_NODENAME=$(setting_get rabbitmq_node)" \
    "RABBITMQ_CONF_ENV_FILE=$home/rabbitmq-env.conf" "RABBITMQ_CONFIG_FILE=$home/rabbitmq.conf" \
    "RABBITMQ_CONFIG_FILES=$home/conf.d" "RABBITMQ_ADVANCED_CONFIG_FILE=$home/advanced.config" \
    "RABBITMQ_ENABLED_PLUGINS_FILE=$home/enabled_plugins" "RABBITMQ_GENERATED_CONFIG_DIR=$home/config" \
    "RABBITMQ_MNESIA_BASE=$home/data" "RABBITMQ_LOG_BASE=$home" "RABBITMQ_LOGS=-" \
    "RABBITMQ_DIST_PORT=$(setting_get dist_port)"
}

rabbitmq_settings() {
  cat <<CONF
# Written at every start by deploy/local; change it there.
listeners.tcp.1 = 127.0.0.1:$(setting_get rabbitmq_port)
load_definitions = $1/definitions
log.console = true
log.console.level = info
log.file = false
vm_memory_high_watermark.absolute = 512MiB
disk_free_limit.absolute = 200MB
# The default of 512 MiB asks for three to four times as much memory (rabbitmq.com, "Quorum Queues").
raft.wal_max_size_bytes = 64000000
collect_statistics_interval = 30000
CONF
}

# rabbitmq_write HOME FILE: standard input to a file that only the server's user can read.
rabbitmq_write() {
  as_user rabbitmq tee "$1/$2" >/dev/null
}

rabbitmq_configure() {
  local home=$1
  as_user rabbitmq mkdir -p "$home/definitions" "$home/conf.d" "$home/data"
  rabbitmq_settings "$home" | rabbitmq_write "$home" rabbitmq.conf
  rabbitmq_write "$home" definitions/10-policies.json <"$ROOT/deploy/rabbitmq/definitions.json"
  RABBITMQ_PASSWORD=$(setting_secret rabbitmq_password) "$ROOT/deploy/rabbitmq/user.sh" |
    rabbitmq_write "$home" definitions/20-user.json
  printf '[].\n' | rabbitmq_write "$home" enabled_plugins
  printf '# empty on purpose: keeps /etc/rabbitmq/rabbitmq-env.conf out\n' | rabbitmq_write "$home" rabbitmq-env.conf
  if [[ ! -e $home/.erlang.cookie ]]; then
    setting_secret erlang_cookie | as_user rabbitmq sh -c "umask 377 && cat >'$home/.erlang.cookie'"
  fi
}

# epmd in the foreground and before the node, so that it is a process of ours and not a daemon of nobody's.
epmd_start() {
  local AS_USER
  process_alive epmd && return
  user_words rabbitmq
  process_start epmd env -i PATH=/usr/bin:/bin "${AS_USER[@]}" \
    epmd -address 127.0.0.1 -port "$(setting_get epmd_port)"
  await epmd 20 port_taken "$(setting_get epmd_port)"
}

# rabbitmq_is_ready LOG_SIZE: the line it writes when everything is up, in what was logged since it was started.
rabbitmq_is_ready() {
  tail -c "+$(($1 + 1))" "$STATE/log/rabbitmq.log" | grep -q 'Server startup complete'
}

rabbitmq_start() {
  local home environment started=$SECONDS logged=0 AS_USER
  if process_alive rabbitmq; then
    epmd_start # the node registers again by itself
    return
  fi
  home=$(server_home rabbitmq rabbitmq)
  [[ -n $(setting_get rabbitmq_node) ]] || setting_set rabbitmq_node "drydock-$(od -An -N4 -tx4 /dev/urandom | tr -d ' \n')@localhost"
  rabbitmq_configure "$home"
  epmd_start
  [[ ! -f $STATE/log/rabbitmq.log ]] || logged=$(stat -c %s "$STATE/log/rabbitmq.log")
  mapfile -t environment < <(rabbitmq_environment "$home")
  user_words rabbitmq
  # Two schedulers that never spin: an idle node costs nearly nothing. Distribution on loopback only.
  environment+=("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2 +SDcpu 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}")
  # The server's script then becomes the Erlang VM instead of waiting for it, so that the pid is the server's.
  environment+=(RUNNING_UNDER_SYSTEMD=true)
  process_start rabbitmq env -i "${environment[@]}" "${AS_USER[@]}" "$RABBITMQ_BIN/rabbitmq-server"
  await rabbitmq 120 rabbitmq_is_ready "$logged"
  say "rabbitmq is ready on 127.0.0.1:$(setting_get rabbitmq_port) ($((SECONDS - started)) s)"
}
