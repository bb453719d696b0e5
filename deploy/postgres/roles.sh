#!/bin/sh
# What the services connect with; they own nothing (migrations/README.md, Roles). Run by the image of PostgreSQL when it makes the database.
set -eu
psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" \
  --set=api="$POSTGRES_API_PASSWORD" --set=fleet="$POSTGRES_FLEET_PASSWORD" <<'SQL'
CREATE ROLE drydock_api LOGIN PASSWORD :'api';
CREATE ROLE drydock_fleet LOGIN BYPASSRLS PASSWORD :'fleet' IN ROLE pg_read_all_stats;
SQL
