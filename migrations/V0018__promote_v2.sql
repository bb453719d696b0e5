-- Fills a project's free places from those who wait: the writer's first, then the readers', each by priority and arrival.
-- Never more than three jobs at once, one of them a writer. The caller holds the project row.
CREATE FUNCTION dd_promote_v2(p uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE taken int; writers int; j job;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM job WHERE project_id = p AND state = 'pending') THEN RETURN; END IF;
  SELECT count(*), count(*) FILTER (WHERE NOT read_only) INTO taken, writers
    FROM job WHERE project_id = p AND state IN ('queued', 'dispatched', 'running');
  FOR j IN
    UPDATE job SET state = 'queued', queued_at = clock_timestamp(), run_at = clock_timestamp()
     WHERE id IN (
       SELECT id FROM (
         (SELECT id, false AS reader, priority, created_at FROM job
           WHERE project_id = p AND state = 'pending' AND NOT read_only AND writers = 0
           ORDER BY priority DESC, created_at, id LIMIT 1)
         UNION ALL
         (SELECT id, true, priority, created_at FROM job
           WHERE project_id = p AND state = 'pending' AND read_only
           ORDER BY priority DESC, created_at, id LIMIT 3)) waiting
        ORDER BY reader, priority DESC, created_at, id LIMIT greatest(0, 3 - taken))
    RETURNING *
  LOOP
    PERFORM dd_status_event_v2(j, 'queued');
  END LOOP;
END $$;
