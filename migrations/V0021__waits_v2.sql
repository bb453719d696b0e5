-- Ends of waits. Each function takes at most `batch` jobs, locks their projects first, in id order, then edges, checks again under the
-- locks, and returns how many it moved. Looked for by statement_timestamp(), because no index can be searched with a volatile
-- clock: all that is still to come would be read each time.

-- Scheduled jobs whose time has come join their lane.
CREATE FUNCTION dd_due_v2(batch int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE ids uuid[]; j job; n int := 0; projects uuid[] := '{}';
BEGIN
  ids := ARRAY(SELECT id FROM job WHERE state = 'scheduled' AND unmet = 0 AND run_at <= statement_timestamp() ORDER BY run_at LIMIT batch);
  IF ids = '{}' THEN RETURN 0; END IF;
  PERFORM 1 FROM project p WHERE p.id IN (SELECT project_id FROM job WHERE id = ANY (ids)) ORDER BY p.id FOR NO KEY UPDATE;
  FOR j IN UPDATE job SET state = 'pending' WHERE id = ANY (ids) AND state = 'scheduled' AND unmet = 0 AND run_at <= clock_timestamp() RETURNING * LOOP
    n := n + 1;
    PERFORM dd_status_event_v2(j, 'pending');
    projects := projects || j.project_id;
  END LOOP;
  -- Once all have arrived: the next is chosen among them, and is told of after them.
  PERFORM dd_promote_v2(p) FROM (SELECT DISTINCT unnest(projects) AS p) moved;
  RETURN n;
END $$;

-- Jobs whose back-off is over may be admitted again. They kept their place, so no project is locked.
CREATE FUNCTION dd_ready_v1(batch int) RETURNS int LANGUAGE sql AS $$
  WITH due AS (
    SELECT id FROM job WHERE state = 'queued' AND backing_off AND run_at <= statement_timestamp()
     ORDER BY run_at LIMIT batch FOR UPDATE SKIP LOCKED),
  ready AS (
    UPDATE job j SET backing_off = false FROM due WHERE j.id = due.id AND j.state = 'queued' AND j.backing_off RETURNING 1)
  SELECT count(*)::int FROM ready $$;

-- Jobs whose dependencies have ended: all well, and they wait for nothing but their time; one badly, and they fail with it.
CREATE FUNCTION dd_depend_v1(batch int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE ids uuid[]; d record; j job; n int := 0;
BEGIN
  ids := ARRAY(SELECT DISTINCT job_id FROM job_dependency WHERE ended IS NOT NULL ORDER BY job_id LIMIT batch);
  IF ids = '{}' THEN RETURN 0; END IF;
  PERFORM 1 FROM project p WHERE p.id IN (SELECT project_id FROM job WHERE id = ANY (ids)) ORDER BY p.id FOR NO KEY UPDATE;
  PERFORM dd_hold_edges_v1(ids);
  FOR d IN
    WITH gone AS (DELETE FROM job_dependency e WHERE e.job_id = ANY (ids) AND e.ended IS NOT NULL RETURNING e.job_id, e.on_job, e.ended)
    SELECT g.job_id, count(*) FILTER (WHERE g.ended = 'succeeded')::int AS met,
           (array_agg(format('job %s, which this one depends on, ended as %s', g.on_job, dd_status_v1(g.ended)) ORDER BY g.on_job)
             FILTER (WHERE g.ended <> 'succeeded')) AS broken
      FROM gone g GROUP BY 1 ORDER BY 1
  LOOP
    IF d.broken IS NULL THEN
      UPDATE job SET unmet = unmet - d.met WHERE id = d.job_id AND state = 'scheduled';
    ELSE
      UPDATE job SET state = 'failed', finished_at = clock_timestamp(), failure_kind = 'dependency', errors = d.broken
       WHERE id = d.job_id AND state = 'scheduled' RETURNING * INTO j;
      IF FOUND THEN
        DELETE FROM job_dependency WHERE job_id = d.job_id;
        PERFORM dd_status_event_v2(j, 'error');
        PERFORM dd_settle_v1(j);
      END IF;
    END IF;
    n := n + 1;
  END LOOP;
  RETURN n;
END $$;

-- Jobs that waited longer than they wanted to fail.
CREATE FUNCTION dd_expire_v1(batch int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE ids uuid[]; j job; n int := 0;
BEGIN
  ids := ARRAY(SELECT id FROM job WHERE expires_at IS NOT NULL AND state IN ('scheduled', 'pending', 'queued', 'dispatched')
                AND expires_at <= statement_timestamp() ORDER BY expires_at LIMIT batch);
  IF ids = '{}' THEN RETURN 0; END IF;
  PERFORM 1 FROM project p WHERE p.id IN (SELECT project_id FROM job WHERE id = ANY (ids)) ORDER BY p.id FOR NO KEY UPDATE;
  PERFORM dd_hold_edges_v1(ids);
  FOR j IN
    UPDATE job SET state = 'failed', backing_off = false, finished_at = clock_timestamp(), failure_kind = 'queue_timeout',
           errors = ARRAY[format('not started within %s s', queue_timeout_s)]
     WHERE id = ANY (ids) AND expires_at <= clock_timestamp() AND state IN ('scheduled', 'pending', 'queued', 'dispatched')
    RETURNING *
  LOOP
    n := n + 1;
    DELETE FROM job_dependency WHERE job_id = j.id;
    PERFORM dd_status_event_v2(j, 'error');
    PERFORM dd_settle_v1(j);
  END LOOP;
  RETURN n;
END $$;
