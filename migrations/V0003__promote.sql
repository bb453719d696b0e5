-- Hands a free lane to the next waiting job: highest priority, then arrival. The caller holds the project row.
CREATE FUNCTION dd_promote_v1(p uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE j job;
BEGIN
  IF EXISTS (SELECT 1 FROM job WHERE project_id = p AND NOT read_only AND state IN ('queued', 'dispatched', 'running')) THEN
    RETURN;
  END IF;
  UPDATE job SET state = 'queued', queued_at = clock_timestamp(), run_at = clock_timestamp()
   WHERE id = (SELECT id FROM job WHERE project_id = p AND state = 'pending'
                ORDER BY priority DESC, created_at, id LIMIT 1 FOR UPDATE)
  RETURNING * INTO j;
  IF FOUND THEN
    PERFORM dd_status_event_v1(j, 'queued');
  END IF;
END $$;
