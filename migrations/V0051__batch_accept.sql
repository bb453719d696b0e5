-- A new batch. Outcomes: created | replayed (same key, same body) | key_reused (same key, other body). `s` is {canary, max_running,
-- max_failure_rate, budget_slot_s}.
CREATE FUNCTION dd_batch_create_v1(t uuid, b uuid, n text, l jsonb, s jsonb, k text, f bytea)
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
  INSERT INTO batch (id, tenant_id, name, labels, canary, max_running, max_failure_rate, budget_slot_s)
  VALUES (b, t, n, l, (s ->> 'canary')::int, (s ->> 'max_running')::int, (s ->> 'max_failure_rate')::real, (s ->> 'budget_slot_s')::bigint);
  outcome := 'created'; made := b;
  RETURN NEXT;
END $$;

-- Accept lines of a batch: rows in one transaction, held until the batch lets them go, so that no lane is looked at and no project
-- locked. `asked` is an array of {line, hash, id, project_id, ...} as `dd_accept_v2` takes them, without key, depends_on, retry_of
-- and schedule_id; `first` the line it starts at. Answers the lines that were not accepted: replayed (the same line came before) | line_reused (it came before
-- with other contents) | again (it came at the same time in another call: ask once more) | no_project | closed (the batch takes no
-- further lines); and for all of them, with line NULL: no_batch.
-- A project that is deleted meanwhile is noticed when the job is let go.
-- Locks: batch (FOR KEY SHARE: it is not closed meanwhile, and steps go on).
CREATE FUNCTION dd_batch_accept_v1(t uuid, b uuid, first int, asked jsonb) RETURNS TABLE (line int, outcome text) LANGUAGE plpgsql AS $$
DECLARE began timestamptz; shut boolean;
BEGIN
  SELECT q.closed_at IS NOT NULL INTO shut FROM batch q WHERE q.id = b AND q.tenant_id = t FOR KEY SHARE;
  IF NOT FOUND THEN
    outcome := 'no_batch';
    RETURN NEXT; RETURN;
  END IF;
  began := clock_timestamp();
  RETURN QUERY
  WITH a AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(asked) AS r (
      line int, hash bigint, id uuid, project_id uuid, job_type job_type, title text, instruction text, argv text[], agent text,
      priority smallint, read_only boolean, keep_on_error boolean, retries smallint, timeout_s int, queue_timeout_s int,
      silence_timeout_s int, min_isolation isolation, requires jsonb, labels jsonb, run_at timestamptz)),
  judged AS (
    SELECT a.*, p.pool, coalesce(a.agent, p.agent) AS its_agent, greatest(a.min_isolation, p.min_isolation) AS isolation,
           CASE WHEN j.id IS NOT NULL THEN CASE WHEN j.line_hash = a.hash THEN 'replayed' ELSE 'line_reused' END
                WHEN p.id IS NULL THEN 'no_project' WHEN shut THEN 'closed' ELSE 'accepted' END AS verdict
      FROM a LEFT JOIN project p ON p.id = a.project_id AND p.tenant_id = t AND p.deleted_at IS NULL
      LEFT JOIN job j ON j.batch_id = b AND j.batch_line = a.line AND j.retried_by IS NULL),
  made AS (
    INSERT INTO job (id, tenant_id, project_id, job_type, title, instruction, argv, agent, pool, labels, min_isolation, requires,
                     demand, priority, read_only, keep_on_error, retries, timeout_s, queue_timeout_s, silence_timeout_s, unmet,
                     state, run_at, created_at, updated_at, batch_id, batch_line, line_hash, on_hold)
    SELECT g.id, t, g.project_id, g.job_type, g.title, g.instruction, g.argv, g.its_agent, g.pool, coalesce(g.labels, '{}'), g.isolation,
           coalesce(g.requires, '{}'), dd_demand_v1(g.job_type, g.its_agent, g.isolation, coalesce(g.requires, '{}')), g.priority,
           g.read_only, g.keep_on_error, g.retries, g.timeout_s, g.queue_timeout_s, g.silence_timeout_s, 1,
           'scheduled', coalesce(g.run_at, began), began + (g.line - first) * interval '1 microsecond', began, b, g.line, g.hash, true
      FROM judged g WHERE g.verdict = 'accepted' ORDER BY g.line
    -- By line, or by id: a call whose answer got lost may still be at it.
    ON CONFLICT DO NOTHING
    RETURNING job.id, job.project_id, job.batch_line),
  told AS (
    INSERT INTO event (tenant_id, project_id, job_id, kind, data)
    SELECT t, m.project_id, m.id, 'status', '{"status": "queued", "status_detail": "scheduled", "attempt": 0}' FROM made m),
  counted AS (
    INSERT INTO batch_tally (batch_id, now, jobs, held)
    SELECT b, 'queued', count(*)::int, count(*)::int FROM made m HAVING count(*) > 0)
  SELECT g.line, CASE g.verdict WHEN 'accepted' THEN 'again' ELSE g.verdict END
    FROM judged g WHERE NOT EXISTS (SELECT FROM made m WHERE m.batch_line = g.line);
END $$;
