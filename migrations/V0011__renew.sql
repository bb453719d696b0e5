-- Renew a worker's lease and say what it still owns. Two statements on purpose: one would read the attempts with a
-- snapshot older than the lease it has just waited for, and could return one that was already taken back.
-- The first row is (live, NULL, NULL); live = false means the worker is over and owns nothing.
CREATE FUNCTION dd_renew_v1(w uuid, ttl interval, running uuid[], phases text[])
RETURNS TABLE (live boolean, owned uuid, cancel boolean) LANGUAGE plpgsql AS $$
DECLARE alive boolean;
BEGIN
  UPDATE worker SET lease_until = clock_timestamp() + ttl WHERE id = w AND ended_at IS NULL;
  alive := FOUND;
  RETURN QUERY SELECT alive, NULL::uuid, NULL::boolean;
  IF NOT alive THEN RETURN; END IF;
  WITH told AS (SELECT * FROM unnest(running, phases) AS u (id, phase)),
  moved AS (
    UPDATE attempt a SET phase = told.phase::attempt_phase FROM told
     WHERE a.id = told.id AND a.worker_id = w AND a.state = 'running' AND a.phase IS DISTINCT FROM told.phase::attempt_phase
    RETURNING a.job_id, a.number, a.phase)
  INSERT INTO event (tenant_id, project_id, job_id, kind, data)
  SELECT j.tenant_id, j.project_id, j.id, 'status',
         jsonb_build_object('status', 'in_progress', 'status_detail', moved.phase, 'attempt', moved.number)
    FROM moved JOIN job j ON j.id = moved.job_id;
  RETURN QUERY SELECT true, a.id, j.cancel_at IS NOT NULL
    FROM attempt a JOIN job j ON j.id = a.job_id AND j.current_attempt = a.id
   WHERE a.worker_id = w AND a.state = 'running';
END $$;
