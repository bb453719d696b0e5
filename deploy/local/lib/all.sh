# shellcheck shell=bash
# Everything the commands beside this folder are made of, in the order of dependence.

LIB=$(dirname "${BASH_SOURCE[0]}")
for part in messages privileges state ports processes packages postgres rabbitmq s3 servers environment services build bench checks; do
  # shellcheck source=/dev/null # the parts are checked one by one
  source "$LIB/$part.sh"
done
unset part
