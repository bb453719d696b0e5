# shellcheck shell=bash
# S3: the embedded server of deploy/s3 on $STATE/s3, with keys and a port of its own.
# Refuses: standing in for a durable object store; it does not fsync (see deploy/s3/src/main.rs).

# s3_start BINARY
s3_start() {
  local address=$STATE/run/s3.address pid
  pid=$(cat "$STATE/run/s3.pid" 2>/dev/null || true)
  (
    export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
    AWS_ACCESS_KEY_ID=$(setting_secret s3_access_key)
    AWS_SECRET_ACCESS_KEY=$(setting_secret s3_secret_key)
    process_replace s3 15 "$1" --root "$STATE/s3" --address "127.0.0.1:$(setting_get s3_port)" --bucket drydock \
      --address-file "$address"
  )
  # The server writes it when it listens; process_stop removes it.
  await s3 20 test -s "$address"
  [[ $pid == "$(<"$STATE/run/s3.pid")" ]] || say "s3 is ready on $(<"$address")"
}
