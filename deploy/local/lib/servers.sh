# shellcheck shell=bash
# Servers: the ports of PostgreSQL, RabbitMQ and S3, and starting and stopping the three.
# Refuses: the services; these are the servers that they need.

# Chosen one after another in the calling shell: the servers themselves start side by side.
servers_choose_ports() {
  port_choose postgres postgres
  port_choose epmd epmd
  port_choose rabbitmq rabbitmq
  port_choose dist rabbitmq
  port_choose s3 s3
}

# The two that need no build. Each in a subshell of its own; either failing fails the whole.
servers_start_installed() {
  local postgres rabbitmq failed=0
  packages_for_servers
  postgres_start &
  postgres=$!
  rabbitmq_start &
  rabbitmq=$!
  wait "$postgres" || failed=1
  wait "$rabbitmq" || failed=1
  return "$failed"
}

servers_stop() {
  process_stop TERM 20 s3
  process_stop TERM 40 rabbitmq
  process_stop TERM 5 epmd
  # INT is PostgreSQL's fast shutdown: clients are cut off, data is written.
  process_stop INT 40 postgres
}
