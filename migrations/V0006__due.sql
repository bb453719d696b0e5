-- Scheduled jobs whose time has come join their lane. Returns how many moved.
CREATE FUNCTION dd_due_v1(batch int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE n int := 0; due record; j job;
BEGIN
  FOR due IN SELECT id, project_id FROM job WHERE state = 'scheduled' AND run_at <= clock_timestamp() ORDER BY run_at LIMIT batch LOOP
    PERFORM 1 FROM project WHERE id = due.project_id FOR NO KEY UPDATE;
    UPDATE job SET state = CASE WHEN read_only THEN 'queued' ELSE 'pending' END::job_state,
                   queued_at = CASE WHEN read_only THEN clock_timestamp() END
     WHERE id = due.id AND state = 'scheduled' RETURNING * INTO j;
    CONTINUE WHEN NOT FOUND;
    n := n + 1;
    PERFORM dd_status_event_v1(j, j.state::text);
    PERFORM dd_promote_v1(j.project_id);
  END LOOP;
  RETURN n;
END $$;
