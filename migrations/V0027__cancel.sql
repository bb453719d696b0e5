-- Cancel a job in any state. Answers: canceled (over now) | cancelling (its worker is to stop it; before the attempt's finish,
-- the cancel wins) | final (it had ended) | no_job. Repeating it changes nothing.
-- Locks: project, job, edges.
CREATE FUNCTION dd_cancel_v1(t uuid, jid uuid, reason text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE j job;
BEGIN
  PERFORM 1 FROM project p JOIN job b ON b.project_id = p.id WHERE b.id = jid AND b.tenant_id = t FOR NO KEY UPDATE OF p;
  SELECT * INTO j FROM job WHERE id = jid AND tenant_id = t FOR UPDATE;
  IF NOT FOUND THEN RETURN 'no_job'; END IF;
  IF j.finished_at IS NOT NULL THEN RETURN 'final'; END IF;
  IF j.state = 'running' THEN
    IF j.cancel_at IS NULL THEN
      UPDATE job SET cancel_at = clock_timestamp(), cancel_reason = reason WHERE id = jid RETURNING * INTO j;
      PERFORM dd_status_event_v2(j, 'cancelling');
    END IF;
    RETURN 'cancelling';
  END IF;
  UPDATE job SET state = 'canceled', backing_off = false, cancel_at = clock_timestamp(), cancel_reason = reason,
         finished_at = clock_timestamp(), failure_kind = 'canceled'
   WHERE id = jid RETURNING * INTO j;
  PERFORM dd_hold_edges_v1(ARRAY[jid]);
  DELETE FROM job_dependency WHERE job_id = jid;
  PERFORM dd_status_event_v2(j, 'cancelled');
  PERFORM dd_settle_v1(j);
  RETURN 'canceled';
END $$;
