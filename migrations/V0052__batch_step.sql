-- A rate, so many seconds later: exp(-age / 60 s) of it. What is left of an old or a small one is nothing: PostgreSQL answers a number
-- too small for float8 with an error.
CREATE FUNCTION dd_faded_v1(rate float8, age_s float8) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN age_s > 3600 OR rate < 1e-9 THEN 0 ELSE rate * exp(-age_s / 60) END $$;

-- Folds what changed into a batch's counts. The caller holds the batch row.
CREATE FUNCTION dd_batch_fold_v1(b uuid) RETURNS batch LANGUAGE plpgsql AS $$
DECLARE q batch;
BEGIN
  WITH gone AS (DELETE FROM batch_tally WHERE batch_id = b RETURNING was, now, jobs, held, slot_s),
  moved AS (
    SELECT u.status, sum(u.jobs)::int AS jobs
      FROM gone g CROSS JOIN LATERAL (VALUES (g.now, g.jobs), (g.was, -g.jobs)) AS u (status, jobs) GROUP BY 1),
  total AS (SELECT coalesce(sum(g.held), 0)::int AS held, coalesce(sum(g.slot_s), 0) AS slot_s FROM gone g),
  change AS (
    SELECT coalesce(sum(jobs) FILTER (WHERE status = 'queued'), 0) AS queued, coalesce(sum(jobs) FILTER (WHERE status = 'in_progress'), 0) AS in_progress,
           coalesce(sum(jobs) FILTER (WHERE status = 'completed'), 0) AS completed, coalesce(sum(jobs) FILTER (WHERE status = 'error'), 0) AS error,
           coalesce(sum(jobs) FILTER (WHERE status = 'cancelled'), 0) AS cancelled FROM moved)
  UPDATE batch o
     SET queued = o.queued + c.queued, in_progress = o.in_progress + c.in_progress, completed = o.completed + c.completed,
         error = o.error + c.error, cancelled = o.cancelled + c.cancelled, held = o.held + t.held, slot_s = o.slot_s + t.slot_s,
         rate = dd_faded_v1(o.rate, extract(epoch FROM clock_timestamp() - o.stepped_at)::float8) + greatest(0, c.completed + c.error + c.cancelled) / 60.0,
         started_at = coalesce(o.started_at, CASE WHEN o.in_progress + c.in_progress + o.completed + c.completed + o.error + c.error > 0
                                                  THEN clock_timestamp() END),
         stepped_at = clock_timestamp()
    FROM change c, total t WHERE o.id = b RETURNING o.* INTO q;
  RETURN q;
END $$;

-- Why a batch is to pause by its own rules; NULL: it is not.
CREATE FUNCTION dd_batch_guard_v1(q batch) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE
    WHEN q.slot_s >= q.budget_slot_s THEN 'budget'
    -- A rate says something from some twenty on, or a fifth of a small batch.
    WHEN q.completed + q.error - q.ended_before >= greatest(1, least(20, (q.queued + q.in_progress + q.completed + q.error - q.ended_before) / 5))
         AND (q.error - q.failed_before) > q.max_failure_rate * (q.completed + q.error - q.ended_before) THEN 'failure_rate'
    WHEN q.canary IS NOT NULL AND NOT q.canary_passed AND q.error + q.cancelled > 0
         AND q.queued = q.held AND q.in_progress = 0 AND q.completed + q.error + q.cancelled >= q.canary THEN 'canary' END $$;

-- Lets the next `most` jobs of a batch go: into their lanes, or to wait for their time. Returns how many.
-- Locks: projects in id order, jobs. The caller holds the batch row.
CREATE FUNCTION dd_batch_let_go_v1(b uuid, most int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE ids uuid[]; lanes uuid[]; orphan uuid; n int;
BEGIN
  ids := ARRAY(SELECT j.id FROM job j WHERE j.batch_id = b AND j.on_hold AND j.state = 'scheduled' ORDER BY j.priority DESC, j.batch_line LIMIT most);
  IF ids = '{}' THEN RETURN 0; END IF;
  PERFORM 1 FROM project p WHERE p.id IN (SELECT j.project_id FROM job j WHERE j.id = ANY (ids)) ORDER BY p.id FOR NO KEY UPDATE;
  WITH mine AS (
    SELECT j.id, j.run_at > clock_timestamp() AS early,
           -- The first writer of an idle project heads its lane at once; who else waits is put in order by the hand-over.
           NOT j.read_only AND j.run_at <= clock_timestamp()
           AND row_number() OVER (PARTITION BY j.project_id, j.read_only, j.run_at > clock_timestamp() ORDER BY j.priority DESC, j.batch_line) = 1
           AND NOT EXISTS (SELECT FROM job o WHERE o.project_id = j.project_id AND o.state IN ('queued', 'dispatched', 'running')) AS heads
      FROM job j WHERE j.id = ANY (ids) AND j.on_hold AND j.state = 'scheduled'),
  gone AS (
    UPDATE job j
       SET on_hold = false, unmet = 0,
           state = CASE WHEN m.early THEN 'scheduled' WHEN m.heads THEN 'queued' ELSE 'pending' END::job_state,
           queued_at = CASE WHEN m.heads THEN clock_timestamp() END,
           expires_at = greatest(j.run_at, clock_timestamp()) + make_interval(secs => j.queue_timeout_s)
      FROM mine m WHERE j.id = m.id AND j.state = 'scheduled' RETURNING j.*),
  told AS (
    INSERT INTO event (tenant_id, project_id, job_id, kind, data)
    SELECT g.tenant_id, g.project_id, g.id, 'status', jsonb_build_object('status', 'queued', 'status_detail', g.state, 'attempt', g.attempts)
      FROM gone g WHERE g.state <> 'scheduled')
  SELECT count(*), coalesce(array_agg(DISTINCT g.project_id) FILTER (WHERE g.state = 'pending'), '{}') INTO n, lanes FROM gone g;
  UPDATE batch SET held = held - n WHERE id = b;
  PERFORM dd_promote_v2(l) FROM unnest(lanes) AS l ORDER BY l;
  FOR orphan IN SELECT j.id FROM job j JOIN project p ON p.id = j.project_id
                 WHERE j.id = ANY (ids) AND p.deleted_at IS NOT NULL AND j.finished_at IS NULL ORDER BY j.id LOOP
    PERFORM dd_cancel_v1((SELECT j.tenant_id FROM job j WHERE j.id = orphan), orphan, 'the project was deleted');
  END LOOP;
  RETURN n;
END $$;

-- Takes back up to `most` jobs of a paused batch that were let go and have no ticket yet, those that wait behind others first: the end of
-- who heads a lane would hand it to them. Returns how many.
-- Locks: projects in id order, jobs. The caller holds the batch row.
CREATE FUNCTION dd_batch_take_back_v1(b uuid, most int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE ids uuid[]; lanes uuid[]; n int;
BEGIN
  ids := ARRAY(SELECT j.id FROM job j WHERE j.batch_id = b AND NOT j.on_hold AND j.state IN ('scheduled', 'pending', 'queued')
                ORDER BY j.state LIMIT most);
  IF ids = '{}' THEN RETURN 0; END IF;
  PERFORM 1 FROM project p WHERE p.id IN (SELECT j.project_id FROM job j WHERE j.id = ANY (ids)) ORDER BY p.id FOR NO KEY UPDATE;
  WITH back AS (
    UPDATE job j SET on_hold = true, unmet = 1, state = 'scheduled', backing_off = false, queued_at = NULL, expires_at = NULL
     WHERE j.id = ANY (ids) AND NOT j.on_hold AND j.state IN ('scheduled', 'pending', 'queued') RETURNING j.*),
  told AS (
    INSERT INTO event (tenant_id, project_id, job_id, kind, data)
    SELECT g.tenant_id, g.project_id, g.id, 'status', jsonb_build_object('status', 'queued', 'status_detail', g.state, 'attempt', g.attempts)
      FROM back g)
  SELECT count(*), coalesce(array_agg(DISTINCT g.project_id), '{}') INTO n, lanes FROM back g;
  UPDATE batch SET held = held + n WHERE id = b;
  PERFORM dd_promote_v2(l) FROM unnest(lanes) AS l ORDER BY l;
  RETURN n;
END $$;

-- Cancels up to `most` jobs of a batch: those it never let go at one stroke, as they are in no lane; then the others, of which those
-- that run are told and end soon. Returns how many.
-- Locks: jobs and edges; projects in id order, jobs, edges. The caller holds the batch row.
CREATE FUNCTION dd_batch_cancel_jobs_v1(b uuid, most int, reason text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE ids uuid[]; t uuid; jid uuid; n int := 0;
BEGIN
  ids := ARRAY(SELECT j.id FROM job j WHERE j.batch_id = b AND j.on_hold AND j.state = 'scheduled' ORDER BY j.priority, j.batch_line DESC LIMIT most FOR UPDATE SKIP LOCKED);
  IF ids <> '{}' THEN
    PERFORM dd_hold_edges_v1(ids);
    WITH over AS (
      UPDATE job j SET state = 'canceled', cancel_at = clock_timestamp(), cancel_reason = reason, finished_at = clock_timestamp(),
             failure_kind = 'canceled' WHERE j.id = ANY (ids) RETURNING j.*)
    INSERT INTO event (tenant_id, project_id, job_id, kind, data)
    SELECT o.tenant_id, o.project_id, o.id, 'status', jsonb_build_object('status', 'cancelled', 'status_detail', 'cancelled', 'attempt', o.attempts)
      FROM over o;
    UPDATE job_dependency SET ended = 'canceled' WHERE on_job = ANY (ids) AND ended IS NULL;
    RETURN cardinality(ids);
  END IF;
  SELECT tenant_id INTO STRICT t FROM batch WHERE id = b;
  ids := ARRAY(SELECT j.id FROM job j WHERE j.batch_id = b AND NOT j.on_hold AND j.cancel_at IS NULL
                AND j.state IN ('scheduled', 'pending', 'queued', 'dispatched', 'running')
                ORDER BY j.state LIMIT least(most, 200));
  PERFORM 1 FROM project p WHERE p.id IN (SELECT j.project_id FROM job j WHERE j.id = ANY (ids)) ORDER BY p.id FOR NO KEY UPDATE;
  PERFORM dd_hold_edges_v1(ids);
  -- Those that wait go first: the end of an active one would hand its place to the next.
  FOR jid IN SELECT j.id FROM job j WHERE j.id = ANY (ids) ORDER BY (j.state NOT IN ('scheduled', 'pending')), j.id LOOP
    PERFORM dd_cancel_v1(t, jid, reason);
    n := n + 1;
  END LOOP;
  RETURN n;
END $$;

-- Batches that something is to be done for, those looked at longest ago first.
CREATE FUNCTION dd_batches_due_v1(most int) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
  SELECT q.id FROM batch q
   WHERE q.finished_at IS NULL
     AND (EXISTS (SELECT FROM batch_tally y WHERE y.batch_id = q.id)
          OR q.held > 0 AND (q.paused_at IS NULL OR q.cancel_at IS NOT NULL)
          OR q.closed_at IS NOT NULL AND q.queued + q.in_progress = 0
          OR (q.cancel_at IS NOT NULL OR q.paused_at IS NOT NULL) AND EXISTS (
               SELECT FROM job j WHERE j.batch_id = q.id AND NOT j.on_hold AND j.state IN ('scheduled', 'pending', 'queued', 'dispatched', 'running')
                                   AND j.cancel_at IS NULL AND (q.cancel_at IS NOT NULL OR j.state IN ('scheduled', 'pending', 'queued'))))
   ORDER BY q.stepped_at LIMIT most $$;

-- One step of one batch: counts, its own rules, then at most `most` jobs let go, taken back or cancelled. `ahead` is how many jobs may
-- head their lanes and wait for a slot. Those that wait behind others of their project do not count, up to 20,000: a file may be in
-- order of projects.
-- Answers NULL where another holds the batch.
-- Locks: batch, then those of the functions above.
CREATE FUNCTION dd_batch_step_v1(b uuid, ahead int, most int)
RETURNS TABLE (let_go int, taken_back int, cancelled int, paused text, finished boolean) LANGUAGE plpgsql AS $$
DECLARE q batch; heads int; out int; room int;
BEGIN
  PERFORM 1 FROM batch o WHERE o.id = b AND o.finished_at IS NULL FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN; END IF;
  q := dd_batch_fold_v1(b);
  let_go := 0; taken_back := 0; cancelled := 0;
  IF q.cancel_at IS NOT NULL THEN
    cancelled := dd_batch_cancel_jobs_v1(b, most, q.cancel_reason);
    q := dd_batch_fold_v1(b);
  ELSE
    IF q.paused_at IS NULL THEN
      paused := dd_batch_guard_v1(q);
      IF paused IS NOT NULL THEN
        UPDATE batch o SET paused_at = clock_timestamp(), pause_reason = paused WHERE o.id = b RETURNING o.* INTO q;
      END IF;
    END IF;
    IF q.paused_at IS NOT NULL THEN
      taken_back := dd_batch_take_back_v1(b, most);
    ELSIF q.held > 0 THEN
      IF q.canary IS NOT NULL AND NOT q.canary_passed AND q.completed >= q.canary THEN
        UPDATE batch o SET canary_passed = true WHERE o.id = b RETURNING o.* INTO q;
      END IF;
      out := q.queued - q.held;
      -- Counted only once they may be too many. One that waits for ten seconds finds no worker: it shall not keep others back that might.
      heads := CASE WHEN out < ahead THEN out ELSE (
        SELECT count(*) FROM job j WHERE j.batch_id = b AND NOT j.on_hold
           AND (j.state = 'dispatched' OR j.state = 'queued' AND j.queued_at > clock_timestamp() - interval '10 s')) END;
      room := least(most, ahead - heads, 20000 - out, q.max_running - q.in_progress - out,
                    CASE WHEN q.canary IS NOT NULL AND NOT q.canary_passed THEN q.canary - out - q.in_progress - q.completed - q.error - q.cancelled END);
      IF room > 0 THEN let_go := dd_batch_let_go_v1(b, room); END IF;
    END IF;
  END IF;
  finished := q.closed_at IS NOT NULL AND q.queued + q.in_progress = 0;
  IF finished THEN UPDATE batch o SET finished_at = clock_timestamp(), paused_at = NULL, pause_reason = NULL WHERE o.id = b; END IF;
  RETURN NEXT;
END $$;
