-- Quotas of a tenant's batches, and batches that know of tokens.

-- How many further lines a tenant's batches may hold; NULL: any number. Where its storage is used up, none. `lacks` says of what there is no
-- more. What is let go is not held any more: a batch of a million lines goes through a quota of a hundred thousand by and by.
CREATE FUNCTION dd_batch_room_v1(t uuid) RETURNS TABLE (room bigint, lacks text) LANGUAGE plpgsql STABLE AS $$
DECLARE most int; used bigint;
BEGIN
  lacks := dd_lacks_storage_v1(t);
  IF lacks IS NOT NULL THEN
    room := 0;
  ELSE
    SELECT q.max_held_jobs INTO most FROM tenant q WHERE q.id = t;
    IF most IS NOT NULL THEN
      SELECT coalesce(sum(o.held + (SELECT coalesce(sum(y.held), 0) FROM batch_tally y WHERE y.batch_id = o.id)), 0) INTO used
        FROM batch o WHERE o.tenant_id = t AND o.finished_at IS NULL;
      room := greatest(0, most - used);
      lacks := format('held batch lines: %s of %s are used', greatest(used, most), most);
    END IF;
  END IF;
  RETURN NEXT;
END $$;

-- Of lines of a batch, those that would be new while there is no room: for whoever would make a project for them first.
CREATE FUNCTION dd_batch_beyond_v1(t uuid, b uuid, lines int[]) RETURNS TABLE (line int, lacks text) LANGUAGE sql STABLE AS $$
  SELECT l.line, r.lacks FROM dd_batch_room_v1(t) r CROSS JOIN unnest(lines) AS l (line)
   WHERE r.room = 0 AND NOT EXISTS (SELECT FROM job j WHERE j.batch_id = b AND j.batch_line = l.line AND j.retried_by IS NULL) $$;

-- As the first version, within the tenant's quotas: the lower lines first. Lines that other calls are writing at this moment are not counted.
-- Accept lines of a batch: rows in one transaction, held until the batch lets them go, so that no lane is looked at and no project
-- locked. `asked` is an array of {line, hash, id, project_id, ...} as `dd_accept_v2` takes them, without key, depends_on, retry_of
-- and schedule_id; `first` the line it starts at. Answers the lines that were not accepted: replayed (the same line came before) | line_reused (it came before
-- with other contents) | again (it came at the same time in another call: ask once more) | no_project | closed (the batch takes no
-- further lines) | over_quota (`lacks` says of what); and for all of them, with line NULL: no_batch.
-- A project that is deleted meanwhile is noticed when the job is let go.
-- Locks: batch (FOR KEY SHARE: it is not closed meanwhile, and steps go on).
CREATE FUNCTION dd_batch_accept_v2(t uuid, b uuid, first int, asked jsonb) RETURNS TABLE (line int, outcome text, lacks text) LANGUAGE plpgsql AS $$
DECLARE began timestamptz; shut boolean; room bigint; missing text;
BEGIN
  SELECT q.closed_at IS NOT NULL INTO shut FROM batch q WHERE q.id = b AND q.tenant_id = t FOR KEY SHARE;
  IF NOT FOUND THEN
    outcome := 'no_batch';
    RETURN NEXT; RETURN;
  END IF;
  SELECT r.room, r.lacks INTO room, missing FROM dd_batch_room_v1(t) r;
  began := clock_timestamp();
  RETURN QUERY
  WITH a AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(asked) AS r (
      line int, hash bigint, id uuid, project_id uuid, job_type job_type, title text, instruction text, argv text[], agent text,
      priority smallint, read_only boolean, keep_on_error boolean, retries smallint, timeout_s int, queue_timeout_s int,
      silence_timeout_s int, min_isolation isolation, requires jsonb, labels jsonb, run_at timestamptz)),
  judged AS (
    SELECT y.*, CASE WHEN y.first_verdict = 'accepted' AND count(*) FILTER (WHERE y.first_verdict = 'accepted') OVER (ORDER BY y.line) > room
                     THEN 'over_quota' ELSE y.first_verdict END AS verdict
      FROM (
        SELECT a.*, p.pool, coalesce(a.agent, p.agent) AS its_agent, greatest(a.min_isolation, p.min_isolation) AS isolation,
               CASE WHEN j.id IS NOT NULL THEN CASE WHEN j.line_hash = a.hash THEN 'replayed' ELSE 'line_reused' END
                    WHEN p.id IS NULL THEN 'no_project' WHEN shut THEN 'closed' ELSE 'accepted' END AS first_verdict
          FROM a LEFT JOIN project p ON p.id = a.project_id AND p.tenant_id = t AND p.deleted_at IS NULL
          LEFT JOIN job j ON j.batch_id = b AND j.batch_line = a.line AND j.retried_by IS NULL) y),
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
  SELECT g.line, CASE g.verdict WHEN 'accepted' THEN 'again' ELSE g.verdict END, CASE WHEN g.verdict = 'over_quota' THEN missing END
    FROM judged g WHERE NOT EXISTS (SELECT FROM made m WHERE m.batch_line = g.line);
END $$;

-- Tokens that the attempts of a batch have used, as their agents say.
ALTER TABLE batch
  -- It pauses once its attempts have used so many, cached input included.
  ADD budget_tokens bigint CHECK (budget_tokens > 0),
  ADD input_tokens bigint NOT NULL DEFAULT 0,
  ADD cached_input_tokens bigint NOT NULL DEFAULT 0,
  ADD output_tokens bigint NOT NULL DEFAULT 0,
  DROP CONSTRAINT batch_pause_reason_check,
  ADD CONSTRAINT batch_pause_reason_check CHECK (pause_reason IN ('asked', 'canary', 'failure_rate', 'budget', 'storage'));
ALTER TABLE batch_tally
  ADD input_tokens bigint NOT NULL DEFAULT 0, ADD cached_input_tokens bigint NOT NULL DEFAULT 0, ADD output_tokens bigint NOT NULL DEFAULT 0;
ALTER TABLE attempt ADD input_tokens bigint, ADD cached_input_tokens bigint, ADD output_tokens bigint;

-- The attempt's row has its tokens by the time its job leaves it.
CREATE FUNCTION dd_tally_v2() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO batch_tally (batch_id, was, now, jobs, held, slot_s, input_tokens, cached_input_tokens, output_tokens)
  SELECT NEW.batch_id, dd_status_v1(OLD.state), dd_status_v1(NEW.state), 1, -OLD.on_hold::int,
         coalesce(extract(epoch FROM clock_timestamp() - a.started_at), 0),
         coalesce(a.input_tokens, 0), coalesce(a.cached_input_tokens, 0), coalesce(a.output_tokens, 0)
    FROM (SELECT) one LEFT JOIN attempt a ON a.id = OLD.current_attempt;
  RETURN NULL;
END $$;
DROP TRIGGER tally ON job;
CREATE TRIGGER tally AFTER UPDATE OF state ON job FOR EACH ROW
  WHEN (NEW.batch_id IS NOT NULL AND dd_status_v1(OLD.state) <> dd_status_v1(NEW.state)) EXECUTE FUNCTION dd_tally_v2();
