-- Baseline: tables, constraints, indexes. Transitions are functions, one migration file each, never edited in place.
-- Times come from this database's clock; lists order by (created_at, id).

CREATE TYPE job_type AS ENUM ('initial_project', 'edit', 'command');
CREATE TYPE job_state AS ENUM
  ('scheduled', 'pending', 'queued', 'dispatched', 'running', 'succeeded', 'failed', 'dead', 'canceled');
CREATE TYPE attempt_state AS ENUM
  ('running', 'succeeded', 'failed', 'timeout', 'infra', 'interrupted', 'conflict', 'canceled', 'lost');
CREATE TYPE attempt_phase AS ENUM ('materializing', 'running', 'pushing');
CREATE TYPE isolation AS ENUM ('none', 'landlock-weak', 'landlock', 'namespace', 'userkernel', 'vm');

CREATE TABLE tenant (
  id uuid PRIMARY KEY,
  name text NOT NULL UNIQUE,
  created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO tenant (id, name) VALUES ('00000000-0000-0000-0000-000000000001', 'default');

CREATE TABLE project (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant,
  instruction text NOT NULL,
  agent text NOT NULL,
  pool text NOT NULL,
  labels jsonb NOT NULL DEFAULT '{}',
  min_isolation isolation NOT NULL DEFAULT 'none',
  head_version int NOT NULL DEFAULT 0 CHECK (head_version >= 0),
  preview_url text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);
CREATE INDEX project_list ON project (tenant_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;

CREATE TABLE job (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant,
  project_id uuid NOT NULL REFERENCES project,
  job_type job_type NOT NULL,
  title text NOT NULL,
  instruction text NOT NULL,
  argv text[],
  agent text NOT NULL,
  pool text NOT NULL,
  labels jsonb NOT NULL DEFAULT '{}',
  min_isolation isolation NOT NULL DEFAULT 'none',
  priority smallint NOT NULL DEFAULT 0 CHECK (priority BETWEEN 0 AND 9),
  read_only boolean NOT NULL DEFAULT false,
  keep_on_error boolean NOT NULL DEFAULT false,
  retries smallint NOT NULL DEFAULT 0 CHECK (retries BETWEEN 0 AND 100),
  timeout_s int CHECK (timeout_s > 0),
  retry_of uuid REFERENCES job,
  -- Where the job stands. run_at is when it is due: given by the user while scheduled, by back-off while queued.
  state job_state NOT NULL,
  run_at timestamptz NOT NULL DEFAULT now(),
  dispatch_seq int NOT NULL DEFAULT 0,
  dispatched_at timestamptz,
  current_attempt uuid,
  attempts smallint NOT NULL DEFAULT 0,
  failures smallint NOT NULL DEFAULT 0,
  infra_faults smallint NOT NULL DEFAULT 0,
  conflicts smallint NOT NULL DEFAULT 0,
  losses smallint NOT NULL DEFAULT 0,
  cancel_at timestamptz,
  -- What came of it.
  summary text,
  output text,
  created_files text[] NOT NULL DEFAULT '{}',
  modified_files text[] NOT NULL DEFAULT '{}',
  deleted_files text[] NOT NULL DEFAULT '{}',
  errors text[] NOT NULL DEFAULT '{}',
  failure_kind text,
  version int,
  preview_url text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  queued_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  CHECK ((state = 'running') = (current_attempt IS NOT NULL)),
  CHECK ((state IN ('succeeded', 'failed', 'dead', 'canceled')) = (finished_at IS NOT NULL)),
  CHECK (job_type <> 'command' OR cardinality(argv) > 0)
) WITH (fillfactor = 70);
-- One lane head a project, whatever a transition believes.
CREATE UNIQUE INDEX job_lane_head ON job (project_id)
  WHERE NOT read_only AND state IN ('queued', 'dispatched', 'running');
CREATE INDEX job_lane_wait ON job (project_id, priority DESC, created_at, id) WHERE state = 'pending';
CREATE INDEX job_ready ON job (pool, priority DESC, run_at, id) WHERE state = 'queued';
CREATE INDEX job_active ON job (pool, project_id, dispatched_at) WHERE state IN ('dispatched', 'running');
CREATE INDEX job_scheduled ON job (run_at) WHERE state = 'scheduled';
CREATE INDEX job_list ON job (tenant_id, created_at DESC, id DESC);
CREATE INDEX job_list_by_project ON job (project_id, created_at DESC, id DESC);

CREATE TABLE worker (
  id uuid PRIMARY KEY,
  instance text NOT NULL,
  pool text NOT NULL,
  slots int NOT NULL CHECK (slots > 0),
  agents text[] NOT NULL,
  isolation isolation NOT NULL,
  rung text NOT NULL,
  build text NOT NULL,
  draining boolean NOT NULL DEFAULT false,
  lease_until timestamptz NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now(),
  ended_at timestamptz
) WITH (fillfactor = 50);
CREATE INDEX worker_live ON worker (pool) WHERE ended_at IS NULL;
-- One live worker an instance: its successor on the same scratch directory ends it first.
CREATE UNIQUE INDEX worker_instance ON worker (instance) WHERE ended_at IS NULL;

CREATE TABLE attempt (
  id uuid PRIMARY KEY,
  job_id uuid NOT NULL REFERENCES job,
  number smallint NOT NULL,
  worker_id uuid NOT NULL REFERENCES worker,
  state attempt_state NOT NULL DEFAULT 'running',
  phase attempt_phase,
  base_version int NOT NULL,
  workspace_path text NOT NULL,
  isolation isolation NOT NULL,
  request jsonb,
  result jsonb,
  detail text,
  materialize_s real,
  run_s real,
  push_s real,
  -- The tree a failed attempt left: an unlisted version, readable through its attempt.
  tree_id bytea,
  manifest_id bytea,
  log_bytes bigint NOT NULL DEFAULT 0,
  log_object text,
  started_at timestamptz NOT NULL DEFAULT now(),
  agent_started_at timestamptz,
  finished_at timestamptz,
  UNIQUE (job_id, number),
  CHECK ((state = 'running') = (finished_at IS NULL))
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX attempt_one_running ON attempt (job_id) WHERE state = 'running';
CREATE INDEX attempt_of_worker ON attempt (worker_id) WHERE state = 'running';
CREATE INDEX attempt_unsealed ON attempt (finished_at) WHERE finished_at IS NOT NULL AND log_object IS NULL AND log_bytes > 0;
ALTER TABLE job ADD FOREIGN KEY (current_attempt) REFERENCES attempt DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE version (
  project_id uuid NOT NULL REFERENCES project,
  number int NOT NULL CHECK (number > 0),
  parent int NOT NULL,
  tree_id bytea NOT NULL CHECK (length(tree_id) = 32),
  manifest_id bytea NOT NULL CHECK (length(manifest_id) = 32),
  delta bytea,
  pack_ids bytea[] NOT NULL,
  file_count int NOT NULL,
  total_bytes bigint NOT NULL,
  author_kind text NOT NULL CHECK (author_kind IN ('job', 'import', 'user', 'restore', 'fork', 'session', 'daemon')),
  author_id uuid NOT NULL,
  attempt_id uuid UNIQUE REFERENCES attempt,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (project_id, number),
  -- Versions form a line: one child a version.
  UNIQUE (project_id, parent),
  CHECK (parent = number - 1)
);

-- A row is written before the object: what the collector may never guess from a listing.
CREATE TABLE pack (
  tenant_id uuid NOT NULL REFERENCES tenant,
  id bytea NOT NULL CHECK (length(id) = 32),
  bytes bigint NOT NULL,
  state text NOT NULL DEFAULT 'uploading' CHECK (state IN ('uploading', 'live', 'condemned', 'deleted')),
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id)
);

-- Readers take only rows below pg_snapshot_xmin and keep (xid, id) as cursor: no gap, no reordering, any replica.
CREATE TABLE event (
  id bigint GENERATED ALWAYS AS IDENTITY,
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  tenant_id uuid NOT NULL,
  project_id uuid NOT NULL,
  job_id uuid NOT NULL,
  kind text NOT NULL,
  data jsonb NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (xid, id)
);
CREATE INDEX event_of_job ON event (job_id, xid, id);

-- The log of an attempt while it runs: bytes in the row, or in an object above the row rate.
CREATE TABLE log_chunk (
  attempt_id uuid NOT NULL REFERENCES attempt,
  seq int NOT NULL,
  byte_offset bigint NOT NULL,
  length int NOT NULL CHECK (length > 0),
  data bytea,
  object text,
  PRIMARY KEY (attempt_id, seq),
  CHECK ((data IS NULL) <> (object IS NULL))
);

CREATE TABLE leader (
  name text PRIMARY KEY,
  holder uuid NOT NULL,
  term bigint NOT NULL,
  expires_at timestamptz NOT NULL
);

CREATE TABLE idempotency (
  tenant_id uuid NOT NULL REFERENCES tenant,
  key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
  fingerprint bytea NOT NULL,
  resource_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, key)
);

-- updated_at moves on every change of a project or job row, a raw UPDATE included.
CREATE FUNCTION dd_touch_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := greatest(clock_timestamp(), OLD.updated_at + interval '1 microsecond');
  RETURN NEW;
END $$;
CREATE TRIGGER touch BEFORE UPDATE ON project FOR EACH ROW EXECUTE FUNCTION dd_touch_v1();
CREATE TRIGGER touch BEFORE UPDATE ON job FOR EACH ROW EXECUTE FUNCTION dd_touch_v1();
