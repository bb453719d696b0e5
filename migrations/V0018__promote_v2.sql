-- Fills a project's free places from those who wait: the writer's first, then the readers', each by priority and arrival.
-- Never more than three jobs at once, one of them a writer. The caller holds the project row.
CREATE FUNCTION dd_promote_v2(p uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE taken int; writers int; writer uuid; readers boolean; j job;
BEGIN
  -- One look for all of it: most projects have a writer waiting or nobody.
  SELECT count(*), count(*) FILTER (WHERE NOT o.read_only),
         (SELECT w.id FROM job w WHERE w.project_id = p AND w.state = 'pending' AND NOT w.read_only
           ORDER BY w.priority DESC, w.created_at, w.id LIMIT 1),
         EXISTS (SELECT FROM job r WHERE r.project_id = p AND r.state = 'pending' AND r.read_only)
    INTO taken, writers, writer, readers
    FROM job o WHERE o.project_id = p AND o.state IN ('queued', 'dispatched', 'running');
  IF writers = 0 AND taken < 3 AND writer IS NOT NULL THEN
    UPDATE job SET state = 'queued', queued_at = clock_timestamp(), run_at = clock_timestamp() WHERE id = writer RETURNING * INTO j;
    PERFORM dd_status_event_v2(j, 'queued');
    taken := taken + 1;
  END IF;
  IF NOT readers THEN RETURN; END IF;
  FOR j IN
    UPDATE job SET state = 'queued', queued_at = clock_timestamp(), run_at = clock_timestamp()
     WHERE id IN (SELECT r.id FROM job r WHERE r.project_id = p AND r.state = 'pending' AND r.read_only
                   ORDER BY r.priority DESC, r.created_at, r.id LIMIT greatest(0, 3 - taken))
    RETURNING *
  LOOP
    PERFORM dd_status_event_v2(j, 'queued');
  END LOOP;
END $$;
