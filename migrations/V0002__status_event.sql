-- The public word for a state, and the event row that tells of a change in the transaction that made it.
CREATE FUNCTION dd_status_v1(s job_state) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE s
    WHEN 'running' THEN 'in_progress'
    WHEN 'succeeded' THEN 'completed'
    WHEN 'failed' THEN 'error'
    WHEN 'dead' THEN 'error'
    WHEN 'canceled' THEN 'cancelled'
    ELSE 'queued'
  END $$;

CREATE FUNCTION dd_status_event_v1(j job, detail text) RETURNS void LANGUAGE sql AS $$
  INSERT INTO event (tenant_id, project_id, job_id, kind, data)
  VALUES (j.tenant_id, j.project_id, j.id, 'status',
          jsonb_build_object('status', dd_status_v1(j.state), 'status_detail', detail, 'attempt', j.attempts)) $$;
