-- Admit about as many jobs as there are free slots, by pool; returns the tickets to publish.
-- 'dispatched' with its dispatch_seq is the outbox: a ticket that gets lost is sent again from this row.
-- At most 3 jobs of a project at once (one writer by the lane, the others read_only): counted before and among the picked.
CREATE FUNCTION dd_admit_v1(h uuid, tm bigint, lookahead int, batch int)
RETURNS TABLE (ticket_job uuid, ticket_seq int, ticket_pool text, ticket_priority smallint) LANGUAGE plpgsql AS $$
BEGIN
  IF NOT dd_leads_v1('fleet', h, tm) THEN RETURN; END IF;
  RETURN QUERY
  WITH capacity AS (
    SELECT w.pool, sum(w.slots) AS slots FROM worker w
     WHERE w.ended_at IS NULL AND NOT w.draining AND w.lease_until > clock_timestamp() GROUP BY w.pool),
  active AS (
    SELECT a.pool, count(*) AS n FROM job a WHERE a.state IN ('dispatched', 'running') GROUP BY a.pool),
  pick AS (
    SELECT q.* FROM capacity c LEFT JOIN active a USING (pool)
     CROSS JOIN LATERAL (
       SELECT r.id, r.project_id, r.read_only, r.priority, r.run_at,
              (SELECT count(*) FROM job o WHERE o.pool = r.pool AND o.project_id = r.project_id
                AND o.state IN ('dispatched', 'running')) AS together
         FROM job r
        WHERE r.pool = c.pool AND r.state = 'queued' AND r.run_at <= clock_timestamp() AND r.cancel_at IS NULL
          AND EXISTS (SELECT 1 FROM worker w WHERE w.pool = c.pool AND w.ended_at IS NULL AND NOT w.draining
                       AND w.lease_until > clock_timestamp() AND w.isolation >= r.min_isolation
                       AND (r.job_type = 'command' OR r.agent = ANY (w.agents)))
          AND (NOT r.read_only OR (SELECT count(*) FROM job o WHERE o.pool = r.pool AND o.project_id = r.project_id
                                    AND o.state IN ('dispatched', 'running')) < 3)
        ORDER BY r.priority DESC, r.run_at, r.id
        LIMIT least(batch, greatest(0, c.slots + lookahead - coalesce(a.n, 0)))
        FOR UPDATE OF r SKIP LOCKED) q),
  ranked AS (
    SELECT p.id, p.read_only,
           p.together + row_number() OVER (PARTITION BY p.project_id ORDER BY p.read_only, p.priority DESC, p.run_at, p.id) AS place
      FROM pick p)
  UPDATE job d SET state = 'dispatched', dispatch_seq = d.dispatch_seq + 1, dispatched_at = clock_timestamp()
    FROM ranked WHERE d.id = ranked.id AND (NOT ranked.read_only OR ranked.place <= 3) AND d.state = 'queued'
  RETURNING d.id, d.dispatch_seq, d.pool, d.priority;
END $$;
