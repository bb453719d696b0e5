-- What people do to a batch. Each answers: done | no_batch | final (it is over) | the reason it cannot be. Repeating it changes nothing.

CREATE FUNCTION dd_batch_close_v1(t uuid, b uuid) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  -- FOR UPDATE waits for lines that are being accepted.
  PERFORM 1 FROM batch WHERE id = b AND tenant_id = t FOR UPDATE;
  IF NOT FOUND THEN RETURN 'no_batch'; END IF;
  UPDATE batch SET closed_at = clock_timestamp() WHERE id = b AND closed_at IS NULL;
  RETURN 'done';
END $$;

CREATE FUNCTION dd_batch_cancel_v1(t uuid, b uuid, reason text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE q batch;
BEGIN
  SELECT * INTO q FROM batch WHERE id = b AND tenant_id = t FOR UPDATE;
  IF NOT FOUND THEN RETURN 'no_batch'; END IF;
  IF q.finished_at IS NOT NULL THEN RETURN 'final'; END IF;
  UPDATE batch SET cancel_at = clock_timestamp(), cancel_reason = reason, closed_at = coalesce(closed_at, clock_timestamp())
   WHERE id = b AND cancel_at IS NULL;
  RETURN 'done';
END $$;

CREATE FUNCTION dd_batch_pause_v1(t uuid, b uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE q batch;
BEGIN
  SELECT * INTO q FROM batch WHERE id = b AND tenant_id = t FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN 'no_batch'; END IF;
  IF q.finished_at IS NOT NULL THEN RETURN 'final'; END IF;
  IF q.cancel_at IS NOT NULL THEN RETURN 'cancelling'; END IF;
  UPDATE batch SET paused_at = clock_timestamp(), pause_reason = 'asked' WHERE id = b AND paused_at IS NULL;
  RETURN 'done';
END $$;

-- Who resumes has seen why it paused: a canary that failed is passed, a failure rate counts from here. A budget must be raised.
CREATE FUNCTION dd_batch_resume_v1(t uuid, b uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE q batch;
BEGIN
  PERFORM 1 FROM batch WHERE id = b AND tenant_id = t FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN 'no_batch'; END IF;
  SELECT * INTO q FROM batch WHERE id = b;
  IF q.finished_at IS NOT NULL THEN RETURN 'final'; END IF;
  IF q.cancel_at IS NOT NULL THEN RETURN 'cancelling'; END IF;
  IF q.paused_at IS NULL THEN RETURN 'done'; END IF;
  q := dd_batch_fold_v1(b);
  IF q.slot_s >= q.budget_slot_s THEN RETURN 'budget'; END IF;
  UPDATE batch SET paused_at = NULL, pause_reason = NULL, canary_passed = canary_passed OR pause_reason = 'canary',
         ended_before = completed + error, failed_before = error WHERE id = b;
  RETURN 'done';
END $$;

-- Changes the settings in `s` that are not null.
CREATE FUNCTION dd_batch_change_v1(t uuid, b uuid, n text, l jsonb, s jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE q batch;
BEGIN
  SELECT * INTO q FROM batch WHERE id = b AND tenant_id = t FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN 'no_batch'; END IF;
  UPDATE batch SET name = coalesce(n, name), labels = coalesce(l, labels), canary = coalesce((s ->> 'canary')::int, canary),
         max_running = coalesce((s ->> 'max_running')::int, max_running),
         max_failure_rate = coalesce((s ->> 'max_failure_rate')::real, max_failure_rate),
         budget_slot_s = coalesce((s ->> 'budget_slot_s')::bigint, budget_slot_s) WHERE id = b;
  RETURN 'done';
END $$;

-- Runs failed lines of a batch again, as many as there are `ids` for the new jobs, of those that failed until `before`: each line has
-- a new job that names the old one. Answers how many; 0: there are no more, -1: no such batch, -2: it was cancelled.
-- Locks: batch, jobs.
CREATE FUNCTION dd_batch_retry_v1(t uuid, b uuid, ids uuid[], before timestamptz) RETURNS int LANGUAGE plpgsql AS $$
DECLARE q batch; old uuid[]; began timestamptz := clock_timestamp();
BEGIN
  SELECT * INTO q FROM batch WHERE id = b AND tenant_id = t FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN -1; END IF;
  IF q.cancel_at IS NOT NULL THEN RETURN -2; END IF;
  old := ARRAY(SELECT f.id FROM job f JOIN project p ON p.id = f.project_id
                WHERE f.batch_id = b AND f.retried_by IS NULL AND f.state IN ('failed', 'dead') AND f.finished_at <= before
                  AND p.deleted_at IS NULL ORDER BY f.batch_line LIMIT cardinality(ids));
  IF old = '{}' THEN RETURN 0; END IF;
  -- The old jobs leave their lines first: of each line one job counts.
  UPDATE job j SET retried_by = u.new FROM unnest(old, ids) AS u (old, new) WHERE j.id = u.old;
  WITH made AS (
    INSERT INTO job (id, tenant_id, project_id, job_type, title, instruction, argv, agent, pool, labels, min_isolation, requires,
                     demand, priority, read_only, keep_on_error, retries, timeout_s, queue_timeout_s, silence_timeout_s, unmet,
                     state, run_at, created_at, updated_at, batch_id, batch_line, line_hash, on_hold, retry_of)
    SELECT u.new, j.tenant_id, j.project_id, j.job_type, j.title, j.instruction, j.argv, j.agent, j.pool, j.labels, j.min_isolation, j.requires,
           j.demand, j.priority, j.read_only, j.keep_on_error, j.retries, j.timeout_s, j.queue_timeout_s, j.silence_timeout_s, 1,
           'scheduled', began, began + u.place * interval '1 microsecond', began, b, j.batch_line, j.line_hash, true, j.id
      FROM unnest(old, ids) WITH ORDINALITY AS u (old, new, place) JOIN job j ON j.id = u.old
    RETURNING job.id, job.project_id)
  INSERT INTO event (tenant_id, project_id, job_id, kind, data)
  SELECT t, m.project_id, m.id, 'status', '{"status": "queued", "status_detail": "scheduled", "attempt": 0}' FROM made m;
  INSERT INTO batch_tally (batch_id, was, now, jobs, held) VALUES (b, 'error', 'queued', cardinality(old), cardinality(old));
  UPDATE batch SET finished_at = NULL, failed_before = greatest(0, failed_before - cardinality(old)),
         ended_before = greatest(0, ended_before - cardinality(old)) WHERE id = b;
  RETURN cardinality(old);
END $$;
