-- What the queue protocol needs beyond the baseline: fair shares, demands, dependencies, deadlines, schedules.

ALTER TABLE tenant
  ADD weight int NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 1000),
  ADD max_running int CHECK (max_running > 0);

-- Ranges of single columns are domains, checked where a value is made: a table's constraints are parsed and checked again
-- with each of the five changes of a row in a job's life, and with each renewal of a lease.
CREATE DOMAIN job_priority AS smallint CHECK (VALUE BETWEEN 0 AND 9);
CREATE DOMAIN retry_limit AS smallint CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN seconds AS int CHECK (VALUE > 0);
ALTER TABLE job
  DROP CONSTRAINT job_priority_check, DROP CONSTRAINT job_retries_check, DROP CONSTRAINT job_timeout_s_check,
  ALTER priority TYPE job_priority, ALTER retries TYPE retry_limit, ALTER timeout_s TYPE seconds;

CREATE DOMAIN slot_count AS int CHECK (VALUE > 0);
ALTER TABLE worker
  DROP CONSTRAINT worker_slots_check, ALTER slots TYPE slot_count,
  ADD labels jsonb NOT NULL DEFAULT '{}';

ALTER TABLE job
  -- Labels a worker must carry to run it.
  ADD requires jsonb NOT NULL DEFAULT '{}',
  -- What a worker must offer, as one word: jobs with the same demand are served by the same workers.
  ADD demand text NOT NULL DEFAULT '',
  ADD depends_on uuid[] NOT NULL DEFAULT '{}',
  -- Dependencies that have not ended well yet; it stays scheduled until there are none.
  ADD unmet int NOT NULL DEFAULT 0,
  -- Queued, but not before run_at: keeps its place and stays out of the ready index.
  ADD backing_off boolean NOT NULL DEFAULT false,
  ADD redispatches smallint NOT NULL DEFAULT 0,
  ADD queue_timeout_s seconds,
  ADD silence_timeout_s seconds,
  ADD expires_at timestamptz,
  ADD cancel_reason text,
  ADD schedule_id uuid,
  ADD CHECK (NOT backing_off OR state = 'queued'),
  ADD CHECK (unmet = 0 OR unmet > 0 AND state IN ('scheduled', 'failed', 'canceled'));

-- As the first version, but planned once a connection: an SQL function that writes is planned at each call.
CREATE FUNCTION dd_status_event_v2(j job, detail text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO event (tenant_id, project_id, job_id, kind, data)
  VALUES (j.tenant_id, j.project_id, j.id, 'status',
          jsonb_build_object('status', dd_status_v1(j.state), 'status_detail', detail, 'attempt', j.attempts));
END $$;

CREATE FUNCTION dd_demand_v1(t job_type, agent text, least_isolation isolation, requires jsonb) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE t WHEN 'command' THEN '*' ELSE agent END || ' ' || least_isolation || ' ' || requires $$;
UPDATE job SET demand = dd_demand_v1(job_type, agent, min_isolation, requires),
               backing_off = state = 'queued' AND run_at > clock_timestamp();

-- Whether a worker can run a job. Stated here and nowhere else.
CREATE FUNCTION dd_suits_v1(w worker, j job) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT w.pool = j.pool AND w.isolation >= j.min_isolation AND w.labels @> j.requires
         AND (j.job_type = 'command' OR j.agent = ANY (w.agents)) $$;

DROP INDEX job_lane_wait, job_ready, job_active, job_scheduled, attempt_unsealed;
-- The places of a project: at most three jobs, one of them a writer.
CREATE INDEX job_place ON job (project_id) WHERE state IN ('queued', 'dispatched', 'running');
CREATE INDEX job_lane_wait ON job (project_id, read_only, priority DESC, created_at, id) WHERE state = 'pending';
-- Only jobs that could start now, so that no admission reads past one that cannot.
CREATE INDEX job_ready ON job (pool, tenant_id, demand, priority DESC, queued_at, id) WHERE state = 'queued' AND NOT backing_off;
CREATE INDEX job_backing_off ON job (run_at) WHERE state = 'queued' AND backing_off;
CREATE INDEX job_active ON job (pool, tenant_id) WHERE state IN ('dispatched', 'running');
CREATE INDEX job_dispatched ON job (dispatched_at) WHERE state = 'dispatched';
CREATE INDEX job_due ON job (run_at) WHERE state = 'scheduled' AND unmet = 0;
CREATE INDEX job_unmet ON job (id) WHERE state = 'scheduled' AND unmet > 0;
CREATE INDEX job_expiring ON job (expires_at)
  WHERE expires_at IS NOT NULL AND state IN ('scheduled', 'pending', 'queued', 'dispatched');
CREATE INDEX job_cancelling ON job (cancel_at) WHERE state = 'running' AND cancel_at IS NOT NULL;
-- Logs of up to 32 KiB stay in their rows.
CREATE INDEX attempt_unsealed ON attempt (finished_at)
  WHERE finished_at IS NOT NULL AND log_object IS NULL AND log_bytes > 32768;

-- An edge lives until it is dealt with: written by the accept, marked by the end of `on_job`, removed by the leader.
CREATE TABLE job_dependency (
  job_id uuid NOT NULL REFERENCES job,
  on_job uuid NOT NULL REFERENCES job,
  ended job_state,
  PRIMARY KEY (job_id, on_job)
);
CREATE INDEX job_dependency_open ON job_dependency (on_job) WHERE ended IS NULL;
CREATE INDEX job_dependency_ended ON job_dependency (job_id) WHERE ended IS NOT NULL;

CREATE TABLE schedule (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant,
  project_id uuid NOT NULL REFERENCES project,
  name text NOT NULL,
  cron text NOT NULL,
  time_zone text NOT NULL DEFAULT 'UTC',
  -- What becomes of firings missed while nobody led: none of them, or one for all.
  missed text NOT NULL DEFAULT 'once' CHECK (missed IN ('skip', 'once')),
  -- A job as the accept takes it, without id, project and time.
  job jsonb NOT NULL,
  paused boolean NOT NULL DEFAULT false,
  -- NULL: the expression has no further time.
  next_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);
CREATE INDEX schedule_due ON schedule (next_at) WHERE NOT paused AND deleted_at IS NULL;
CREATE INDEX schedule_list ON schedule (tenant_id, created_at DESC, id DESC) WHERE deleted_at IS NULL;
CREATE TRIGGER touch BEFORE UPDATE ON schedule FOR EACH ROW EXECUTE FUNCTION dd_touch_v1();

-- One job per due time, whoever fires.
CREATE TABLE firing (
  schedule_id uuid NOT NULL REFERENCES schedule,
  due_at timestamptz NOT NULL,
  job_id uuid NOT NULL REFERENCES job,
  PRIMARY KEY (schedule_id, due_at)
);
