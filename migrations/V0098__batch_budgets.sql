-- Batches with a budget of tokens, and none that go on storing beyond their tenant's quota. Tokens that an older dispatcher folds are lost to
-- the batch: upgrade it first.

-- Whether a batch has used up what it may.
CREATE FUNCTION dd_batch_spent_v1(q batch) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT q.slot_s >= q.budget_slot_s IS TRUE OR q.input_tokens + q.output_tokens >= q.budget_tokens IS TRUE $$;

-- The functions below are as their versions before, and know of tokens and of the quota.

-- Folds what changed into a batch's counts. The caller holds the batch row.
CREATE FUNCTION dd_batch_fold_v2(b uuid) RETURNS batch LANGUAGE plpgsql AS $$
DECLARE q batch;
BEGIN
  WITH gone AS (DELETE FROM batch_tally WHERE batch_id = b RETURNING was, now, jobs, held, slot_s, input_tokens, cached_input_tokens, output_tokens),
  moved AS (
    SELECT u.status, sum(u.jobs)::int AS jobs
      FROM gone g CROSS JOIN LATERAL (VALUES (g.now, g.jobs), (g.was, -g.jobs)) AS u (status, jobs) GROUP BY 1),
  total AS (SELECT coalesce(sum(g.held), 0)::int AS held, coalesce(sum(g.slot_s), 0) AS slot_s, coalesce(sum(g.input_tokens), 0) AS input_tokens,
                   coalesce(sum(g.cached_input_tokens), 0) AS cached_input_tokens, coalesce(sum(g.output_tokens), 0) AS output_tokens FROM gone g),
  change AS (
    SELECT coalesce(sum(jobs) FILTER (WHERE status = 'queued'), 0) AS queued, coalesce(sum(jobs) FILTER (WHERE status = 'in_progress'), 0) AS in_progress,
           coalesce(sum(jobs) FILTER (WHERE status = 'completed'), 0) AS completed, coalesce(sum(jobs) FILTER (WHERE status = 'error'), 0) AS error,
           coalesce(sum(jobs) FILTER (WHERE status = 'cancelled'), 0) AS cancelled FROM moved)
  UPDATE batch o
     SET queued = o.queued + c.queued, in_progress = o.in_progress + c.in_progress, completed = o.completed + c.completed,
         error = o.error + c.error, cancelled = o.cancelled + c.cancelled, held = o.held + t.held, slot_s = o.slot_s + t.slot_s,
         input_tokens = o.input_tokens + t.input_tokens, cached_input_tokens = o.cached_input_tokens + t.cached_input_tokens,
         output_tokens = o.output_tokens + t.output_tokens,
         rate = dd_faded_v1(o.rate, extract(epoch FROM clock_timestamp() - o.stepped_at)::float8) + greatest(0, c.completed + c.error + c.cancelled) / 60.0,
         started_at = coalesce(o.started_at, CASE WHEN o.in_progress + c.in_progress + o.completed + c.completed + o.error + c.error > 0
                                                  THEN clock_timestamp() END),
         stepped_at = clock_timestamp()
    FROM change c, total t WHERE o.id = b RETURNING o.* INTO q;
  RETURN q;
END $$;

-- Why a batch is to pause by its own rules, or by its tenant's quota of stored bytes; NULL: it is not.
CREATE FUNCTION dd_batch_guard_v2(q batch) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE
    WHEN dd_batch_spent_v1(q) THEN 'budget'
    -- A rate says something from some twenty on, or a fifth of a small batch.
    WHEN q.completed + q.error - q.ended_before >= greatest(1, least(20, (q.queued + q.in_progress + q.completed + q.error - q.ended_before) / 5))
         AND (q.error - q.failed_before) > q.max_failure_rate * (q.completed + q.error - q.ended_before) THEN 'failure_rate'
    WHEN q.canary IS NOT NULL AND NOT q.canary_passed AND q.error + q.cancelled > 0
         AND q.queued = q.held AND q.in_progress = 0 AND q.completed + q.error + q.cancelled >= q.canary THEN 'canary'
    -- Nothing is let go that would store more.
    WHEN q.held > 0 AND dd_lacks_storage_v1(q.tenant_id) IS NOT NULL THEN 'storage' END $$;

-- One step of one batch.
CREATE FUNCTION dd_batch_step_v2(b uuid, ahead int, most int)
RETURNS TABLE (let_go int, taken_back int, cancelled int, paused text, finished boolean) LANGUAGE plpgsql AS $$
DECLARE q batch; heads int; out int; room int;
BEGIN
  PERFORM 1 FROM batch o WHERE o.id = b AND o.finished_at IS NULL FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN; END IF;
  q := dd_batch_fold_v2(b);
  let_go := 0; taken_back := 0; cancelled := 0;
  IF q.cancel_at IS NOT NULL THEN
    cancelled := dd_batch_cancel_jobs_v1(b, most, q.cancel_reason);
    q := dd_batch_fold_v2(b);
  ELSE
    IF q.paused_at IS NULL THEN
      paused := dd_batch_guard_v2(q);
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

-- `s` is {canary, max_running, max_failure_rate, budget_slot_s, budget_tokens}.
CREATE FUNCTION dd_batch_create_v2(t uuid, b uuid, n text, l jsonb, s jsonb, k text, f bytea)
RETURNS TABLE (outcome text, made uuid) LANGUAGE plpgsql AS $$
BEGIN
  IF k IS NOT NULL THEN
    INSERT INTO idempotency (tenant_id, key, fingerprint, resource_id) VALUES (t, k, f, b) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      RETURN QUERY SELECT CASE WHEN d.fingerprint = f THEN 'replayed' ELSE 'key_reused' END, d.resource_id
                     FROM idempotency d WHERE d.tenant_id = t AND d.key = k;
      RETURN;
    END IF;
  END IF;
  INSERT INTO batch (id, tenant_id, name, labels, canary, max_running, max_failure_rate, budget_slot_s, budget_tokens)
  VALUES (b, t, n, l, (s ->> 'canary')::int, (s ->> 'max_running')::int, (s ->> 'max_failure_rate')::real, (s ->> 'budget_slot_s')::bigint,
          (s ->> 'budget_tokens')::bigint);
  outcome := 'created'; made := b;
  RETURN NEXT;
END $$;

-- Who resumes has seen why it paused: a canary that failed is passed, a failure rate counts from here. A budget must be raised, and of stored
-- bytes there must be room.
CREATE FUNCTION dd_batch_resume_v2(t uuid, b uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE q batch;
BEGIN
  PERFORM 1 FROM batch WHERE id = b AND tenant_id = t FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN 'no_batch'; END IF;
  SELECT * INTO q FROM batch WHERE id = b;
  IF q.finished_at IS NOT NULL THEN RETURN 'final'; END IF;
  IF q.cancel_at IS NOT NULL THEN RETURN 'cancelling'; END IF;
  IF q.paused_at IS NULL THEN RETURN 'done'; END IF;
  q := dd_batch_fold_v2(b);
  IF dd_batch_spent_v1(q) THEN RETURN 'budget'; END IF;
  IF q.held > 0 AND dd_lacks_storage_v1(t) IS NOT NULL THEN RETURN 'storage'; END IF;
  UPDATE batch SET paused_at = NULL, pause_reason = NULL, canary_passed = canary_passed OR pause_reason = 'canary',
         ended_before = completed + error, failed_before = error WHERE id = b;
  RETURN 'done';
END $$;

-- Changes the settings in `s` that are not null.
CREATE FUNCTION dd_batch_change_v2(t uuid, b uuid, n text, l jsonb, s jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE q batch;
BEGIN
  SELECT * INTO q FROM batch WHERE id = b AND tenant_id = t FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN 'no_batch'; END IF;
  UPDATE batch SET name = coalesce(n, name), labels = coalesce(l, labels), canary = coalesce((s ->> 'canary')::int, canary),
         max_running = coalesce((s ->> 'max_running')::int, max_running),
         max_failure_rate = coalesce((s ->> 'max_failure_rate')::real, max_failure_rate),
         budget_slot_s = coalesce((s ->> 'budget_slot_s')::bigint, budget_slot_s),
         budget_tokens = coalesce((s ->> 'budget_tokens')::bigint, budget_tokens) WHERE id = b;
  RETURN 'done';
END $$;
