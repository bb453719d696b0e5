#!/bin/sh
# Prints definitions for the broker's one user, for `load_definitions`: a node with definitions to load makes no user itself.
# The password comes in RABBITMQ_PASSWORD and leaves as a hash only. POSIX sh, because it runs in the broker's image too.
# Refuses: an empty password.
set -eu

: "${RABBITMQ_PASSWORD:?set RABBITMQ_PASSWORD}"

# The bytes that hexadecimal digits on standard input name.
bytes() {
  sed 's/../&\n/g' | while read -r pair; do
    # shellcheck disable=SC2059 # the format is the data: one octal escape
    [ -z "$pair" ] || printf "\\$(printf '%03o' "0x$pair")"
  done
}

# rabbit_password_hashing_sha256: base64(salt, sha256(salt, password)), the salt being four bytes (rabbitmq.com, "Passwords").
salt=$(od -An -v -N4 -tx1 /dev/urandom | tr -d ' \n')
sum=$({ printf '%s' "$salt" | bytes && printf '%s' "$RABBITMQ_PASSWORD"; } | sha256sum | cut -d' ' -f1)
hash=$(printf '%s' "$salt$sum" | bytes | base64 | tr -d '\n')

cat <<JSON
{
  "users": [
    { "name": "drydock", "tags": "administrator", "hashing_algorithm": "rabbit_password_hashing_sha256", "password_hash": "$hash" }
  ],
  "permissions": [{ "user": "drydock", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*" }]
}
JSON
