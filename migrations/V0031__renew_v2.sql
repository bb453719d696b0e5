-- Renew a worker's lease and say what it still owns, and what of that is to be cancelled. The lease and the attempts are two
-- statements on purpose: one would read the attempts with a snapshot older than the lease it has just waited for, and could
-- return one that was already taken back. An idle worker costs these two and no more. live = false means the worker is over
-- and owns nothing. Leases are renewed over connections that commit asynchronously: one that is lost is the next one's business.
-- Phases are events, and those are never told of before they are durable.
CREATE FUNCTION dd_renew_v2(w uuid, ttl interval, running uuid[], phases text[], OUT live boolean, OUT owned uuid[], OUT cancelled uuid[])
LANGUAGE plpgsql AS $$
DECLARE durable text;
BEGIN
  IF cardinality(running) > 0 THEN
    durable := set_config('synchronous_commit', 'on', true);
  END IF;
  UPDATE worker SET lease_until = clock_timestamp() + ttl WHERE id = w AND ended_at IS NULL;
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
