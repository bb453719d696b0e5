-- Batches: many jobs as one thing. A line of the submitted file is a job; a batch lets its jobs go by and by, as the fleet takes
-- them, so that pausing, stopping and a canary cost nothing for those that have not been let go.

CREATE TABLE batch (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant,
  name text NOT NULL,
  labels jsonb NOT NULL DEFAULT '{}',
  -- So many go first, and the others once all of these ended well.
  canary int CHECK (canary > 0),
  -- Most jobs under way at once.
  max_running int CHECK (max_running > 0),
  -- It pauses once more than this share of those that ended have failed.
  max_failure_rate real CHECK (max_failure_rate >= 0 AND max_failure_rate < 1),
  -- It pauses once its attempts have held slots for so long.
  budget_slot_s bigint CHECK (budget_slot_s > 0),
  -- Counts as far as `batch_tally` is folded in; what they really are is their sum.
  queued int NOT NULL DEFAULT 0,
  in_progress int NOT NULL DEFAULT 0,
  completed int NOT NULL DEFAULT 0,
  error int NOT NULL DEFAULT 0,
  cancelled int NOT NULL DEFAULT 0,
  -- Of the queued ones, those not let go yet.
  held int NOT NULL DEFAULT 0,
  slot_s float8 NOT NULL DEFAULT 0,
  -- Jobs that ended a second, of late: each counts exp(-age / 60 s) / 60 s. As of `stepped_at`.
  rate float8 NOT NULL DEFAULT 0,
  canary_passed boolean NOT NULL DEFAULT false,
  -- What had ended, and failed, when it was last resumed: a failure rate counts from there.
  ended_before int NOT NULL DEFAULT 0,
  failed_before int NOT NULL DEFAULT 0,
  paused_at timestamptz,
  pause_reason text CHECK (pause_reason IN ('asked', 'canary', 'failure_rate', 'budget')),
  cancel_at timestamptz,
  cancel_reason text,
  -- No further lines come.
  closed_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  stepped_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((paused_at IS NULL) = (pause_reason IS NULL))
) WITH (fillfactor = 50);
CREATE INDEX batch_list ON batch (tenant_id, created_at DESC, id DESC);
CREATE INDEX batch_live ON batch (id) WHERE finished_at IS NULL;
CREATE TRIGGER touch BEFORE UPDATE ON batch FOR EACH ROW EXECUTE FUNCTION dd_touch_v1();

ALTER TABLE job
  ADD batch_id uuid REFERENCES batch,
  -- Its line in the submitted file, from 1, and a hash of it: the same line again is the same job.
  ADD batch_line int,
  ADD line_hash bigint,
  -- Not let go by its batch: one thing more that it waits for, counted in `unmet`.
  ADD on_hold boolean NOT NULL DEFAULT false,
  -- The job that took its line over after it failed.
  ADD retried_by uuid;
-- Of each line one job counts.
CREATE UNIQUE INDEX job_of_line ON job (batch_id, batch_line) WHERE batch_id IS NOT NULL AND retried_by IS NULL;
CREATE INDEX job_list_by_batch ON job (batch_id, created_at DESC, id DESC) WHERE batch_id IS NOT NULL;
CREATE INDEX job_held ON job (batch_id, priority DESC, batch_line) WHERE on_hold AND state = 'scheduled';
CREATE INDEX job_let_go ON job (batch_id, state)
  WHERE batch_id IS NOT NULL AND NOT on_hold AND state IN ('scheduled', 'pending', 'queued', 'dispatched', 'running');
CREATE INDEX job_failed_line ON job (batch_id, batch_line)
  WHERE batch_id IS NOT NULL AND retried_by IS NULL AND state IN ('failed', 'dead');

-- What changed in a batch's counts, until the leader folds it in. A row of its own for each change: jobs that end at the same time
-- would queue up behind a counter.
CREATE TABLE batch_tally (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  batch_id uuid NOT NULL,
  was text,
  now text NOT NULL,
  jobs int NOT NULL,
  held int NOT NULL,
  slot_s float8 NOT NULL DEFAULT 0
);
CREATE INDEX batch_tally_of_batch ON batch_tally (batch_id);

CREATE FUNCTION dd_tally_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO batch_tally (batch_id, was, now, jobs, held, slot_s)
  VALUES (NEW.batch_id, dd_status_v1(OLD.state), dd_status_v1(NEW.state), 1, -OLD.on_hold::int, coalesce(
    (SELECT extract(epoch FROM clock_timestamp() - a.started_at) FROM attempt a WHERE a.id = OLD.current_attempt), 0));
  RETURN NULL;
END $$;
CREATE TRIGGER tally AFTER UPDATE OF state ON job FOR EACH ROW
  WHEN (NEW.batch_id IS NOT NULL AND dd_status_v1(OLD.state) <> dd_status_v1(NEW.state)) EXECUTE FUNCTION dd_tally_v1();
