-- A worker may be asked to take no further jobs and to stay. `draining` decides, as before: no claim succeeds, and its slots are not counted
-- on. Since when it is asked: NULL on one that drains because it stops, which nobody can take back.
ALTER TABLE worker ADD COLUMN drain_asked_at timestamptz;

-- Asks a worker to drain, or no longer. Repeating it changes nothing. Answers 'done', 'stopping' (it ends, and takes no more jobs whatever is
-- asked) or 'no_worker' (none, or it is over).
-- Locks: the worker. A claim under way holds it shared and is waited for, so that none succeeds from the answer on.
CREATE FUNCTION dd_drain_worker_v1(w uuid, wanted boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE k worker;
BEGIN
  SELECT * INTO k FROM worker c WHERE c.id = w AND c.ended_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN 'no_worker'; END IF;
  IF k.draining AND k.drain_asked_at IS NULL THEN
    RETURN CASE WHEN wanted THEN 'done' ELSE 'stopping' END;
  END IF;
  IF k.draining <> wanted THEN
    UPDATE worker c SET draining = wanted, drain_asked_at = CASE WHEN wanted THEN clock_timestamp() END WHERE c.id = w;
  END IF;
  RETURN 'done';
END $$;

-- It stops: no claim succeeds for this worker from here on, whatever it is asked; its attempts go on.
CREATE FUNCTION dd_worker_drain_v2(w uuid) RETURNS void LANGUAGE sql AS $$
  UPDATE worker SET draining = true, drain_asked_at = NULL WHERE id = w $$;

-- As before, and whether the worker is asked to drain: an idle one still costs two statements and no more.
CREATE FUNCTION dd_renew_v3(w uuid, ttl interval, running uuid[], phases text[],
  OUT live boolean, OUT owned uuid[], OUT cancelled uuid[], OUT drained boolean)
LANGUAGE plpgsql AS $$
DECLARE durable text;
BEGIN
  IF cardinality(running) > 0 THEN
    durable := set_config('synchronous_commit', 'on', true);
  END IF;
  UPDATE worker SET lease_until = clock_timestamp() + ttl WHERE id = w AND ended_at IS NULL RETURNING drain_asked_at IS NOT NULL INTO drained;
  live := FOUND;
  IF cardinality(running) > 1 THEN
    -- In the order a group of finishes locks them.
    PERFORM 1 FROM attempt a WHERE a.id = ANY (running) ORDER BY a.id FOR NO KEY UPDATE;
  END IF;
  IF live AND cardinality(running) > 0 THEN
    WITH told AS (SELECT * FROM unnest(running, phases) AS u (id, phase)),
    moved AS (
      UPDATE attempt a SET phase = told.phase::attempt_phase FROM told
       WHERE a.id = told.id AND a.worker_id = w AND a.state = 'running' AND a.phase IS DISTINCT FROM told.phase::attempt_phase
      RETURNING a.job_id, a.number, a.phase)
    INSERT INTO event (tenant_id, project_id, job_id, kind, data)
    SELECT j.tenant_id, j.project_id, j.id, 'status',
           jsonb_build_object('status', 'in_progress', 'status_detail', moved.phase, 'attempt', moved.number)
      FROM moved JOIN job j ON j.id = moved.job_id;
  END IF;
  owned := ARRAY(SELECT a.id FROM attempt a WHERE live AND a.worker_id = w AND a.state = 'running');
  cancelled := '{}';
  IF owned <> '{}' THEN
    cancelled := ARRAY(SELECT a.id FROM attempt a JOIN job j ON j.id = a.job_id WHERE a.id = ANY (owned) AND j.cancel_at IS NOT NULL);
  END IF;
END $$;
