# shellcheck shell=bash
# PostgreSQL: one private cluster, on 127.0.0.1 and its own port, with passwords of its own.
# Roles: `postgres` (superuser, for tests that clone databases), `drydock` (owner of database `drydock`, for migrations), and what
# services connect with: `drydock_api` and `drydock_fleet`, which own nothing.
# Refuses: the distribution's clusters; nothing under /etc/postgresql or /var/lib/postgresql is read or written.

postgres_settings() {
  local socket_dir=$1
  # A socket's path may have 107 bytes (unix(7)).
  ((${#socket_dir} <= 88)) || socket_dir=''
  cat <<CONF
# Written at every start by deploy/local; change it there.
listen_addresses = '127.0.0.1'
port = $(setting_get postgres_port)
unix_socket_directories = '$socket_dir'
max_connections = 200
shared_buffers = 128MB
max_wal_size = 512MB
password_encryption = scram-sha-256
log_line_prefix = '%m [%p] %q%u@%d '
log_min_duration_statement = 500ms
log_lock_waits = on
timezone = 'UTC'
CONF
  if [[ -n ${DRYDOCK_FAST_DISKS:-} ]]; then
    # For tests: nothing needs to survive a power failure. A killed server still recovers.
    # A client that is cut off before it has logged in would hold up every DROP DATABASE for a minute.
    printf '%s\n' 'fsync = off' 'full_page_writes = off' 'autovacuum_naptime = 10s' 'authentication_timeout = 5s'
  fi
}

# postgres_create BIN HOME: the cluster, its roles and its database; renamed into place when it is whole.
postgres_create() {
  local bin=$1 home=$2 log=$STATE/log/postgres.log
  as_user postgres rm -rf "$home/new"
  # A file, because the server's user may not open a pipe of ours by name.
  setting_secret postgres_password | as_user postgres tee "$home/password" >/dev/null
  as_user postgres "$bin/initdb" --pgdata="$home/new" --username=postgres --auth=scram-sha-256 \
    --pwfile="$home/password" --encoding=UTF8 --locale=C.UTF-8 --no-sync >>"$log" 2>&1 ||
    { show_log "$log"; fail "could not create a PostgreSQL cluster in $home" "see $log"; }
  as_user postgres rm "$home/password"
  # Beside what initdb found out about this machine, such as which kind of shared memory works.
  printf "include_if_exists = 'drydock.conf'\n" | as_user postgres tee -a "$home/new/postgresql.conf" >/dev/null
  postgres_create_roles "$bin" "$home" >>"$log" 2>&1 ||
    { show_log "$log"; fail "could not create the database drydock" "see $log"; }
  as_user postgres mv "$home/new" "$home/data"
}

# In single-user mode, which needs no port yet. It exits 0 whatever happens, so its words are read.
postgres_create_roles() {
  local words
  words=$(printf '%s\n' "CREATE ROLE drydock LOGIN PASSWORD '$(setting_secret database_password)'" \
    'CREATE DATABASE drydock OWNER drydock' |
    as_user postgres "$1/postgres" --single -D "$2/new" -c password_encryption=scram-sha-256 postgres 2>&1)
  printf '%s\n' "$words"
  [[ $words != *ERROR:* && $words != *FATAL:* ]]
}

# postgres_service_roles: what services connect with, on clusters made before there were any too.
postgres_service_roles() {
  local role
  for role in drydock_api drydock_fleet; do
    printf '%s\n' "SELECT 'CREATE ROLE $role LOGIN' WHERE to_regrole('$role') IS NULL \\gexec" \
      "ALTER ROLE $role PASSWORD '$(setting_secret "${role}_password")';"
  done | cat - <(printf 'GRANT pg_read_all_stats TO drydock_fleet; ALTER ROLE drydock_fleet BYPASSRLS;\n') | PGPASSWORD=$(setting_secret postgres_password) "$(postgres_bin)/psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 \
    --host=127.0.0.1 --port="$(setting_get postgres_port)" --username=postgres postgres >>"$STATE/log/postgres.log" 2>&1 ||
    fail "could not make the database roles of the services" "see $STATE/log/postgres.log"
}

# The first line of postmaster.pid is the server's pid, the eighth its state (miscadmin.h, PM_STATUS_READY). A server that
# was killed leaves the file behind, so both count.
postgres_is_ready() {
  [[ $(awk 'NR == 1 || NR == 8 { printf "%s ", $1 }' "$1/postmaster.pid" 2>/dev/null) == "$(<"$STATE/run/postgres.pid") ready " ]]
}

# postgres_recover DATA: a killed server's children end by themselves, and until then no other may start on their data. Then
# its lock files mean nothing, though the next server would believe them as long as nobody has reaped the dead process.
postgres_recover() {
  local data=$1 deadline=$((SECONDS + 30)) directory
  for directory in /proc/[0-9]*/cwd; do
    while [[ $directory -ef $data ]]; do
      ((SECONDS < deadline)) || fail "process ${directory//[^0-9]/} still works on $data" "end it, then run this again"
      sleep 0.05
    done
  done
  # shellcheck disable=SC2016 # expanded by the inner shell, as its user
  as_user postgres sh -c 'rm -f "$1/postmaster.pid" "$1"/.s.PGSQL.*' sh "$data"
}

postgres_start() {
  local bin home started=$SECONDS AS_USER
  process_alive postgres && return
  bin=$(postgres_bin)
  home=$(server_home postgres postgres)
  [[ -d $home/data ]] || postgres_create "$bin" "$home"
  # A cluster can only be opened by the version that made it.
  if [[ -x /usr/lib/postgresql/$(<"$home/data/PG_VERSION")/bin/postgres ]]; then
    bin=/usr/lib/postgresql/$(<"$home/data/PG_VERSION")/bin
  fi
  postgres_settings "$home/data" | as_user postgres tee "$home/data/drydock.conf" >/dev/null
  postgres_recover "$home/data"
  user_words postgres
  process_start postgres env -i PATH=/usr/bin:/bin LANG=C.UTF-8 "${AS_USER[@]}" "$bin/postgres" -D "$home/data"
  await postgres 60 postgres_is_ready "$home/data"
  say "postgres is ready on 127.0.0.1:$(setting_get postgres_port) ($((SECONDS - started)) s)"
}
