-- Trees to bring to workers before their jobs come: of the jobs that wait in a pool without a free slot, those next in line whose base
-- version no worker of the pool has, the first for the worker whose slot has been taken for longest and so is likely the next to free, the
-- second for the second: at most one a worker, and `most` a pool. A guess: where a job goes is decided when it is admitted, and then it
-- goes to who has its tree. Looks at no more than `each` jobs of a group of (tenant, demand), so it does not depend on how many wait.
CREATE FUNCTION dd_next_in_line_v1(h uuid, tm bigint, each int, most int)
RETURNS TABLE (worker_id uuid, tenant_id uuid, project_id uuid, version int, tree_id bytea) LANGUAGE plpgsql AS $$
BEGIN
  IF NOT dd_leads_v1('fleet', h, tm) THEN RETURN; END IF;
  RETURN QUERY
  WITH RECURSIVE crowded AS MATERIALIZED (
    SELECT s.pool FROM (SELECT w.pool, sum(w.slots) AS slots FROM worker w
             WHERE w.ended_at IS NULL AND NOT w.draining AND w.lease_until > clock_timestamp() GROUP BY w.pool) s
     WHERE s.slots <= (SELECT count(*) FROM job b WHERE b.pool = s.pool AND b.state IN ('dispatched', 'running'))),
  grouped AS (
    (SELECT f.* FROM crowded c CROSS JOIN LATERAL (
       SELECT r.pool, r.tenant_id, r.demand FROM job r WHERE r.pool = c.pool AND r.state = 'queued' AND NOT r.backing_off
        ORDER BY r.tenant_id, r.demand LIMIT 1) f)
    UNION ALL
    SELECT n.pool, n.tenant_id, n.demand FROM grouped g CROSS JOIN LATERAL (
      SELECT r.pool, r.tenant_id, r.demand FROM job r WHERE r.pool = g.pool AND r.state = 'queued' AND NOT r.backing_off
         AND (r.tenant_id, r.demand) > (g.tenant_id, g.demand) ORDER BY r.tenant_id, r.demand LIMIT 1) n),
  waiting AS MATERIALIZED (
    SELECT DISTINCT ON (j.pool, j.tenant_id, v.tree_id) j.id, j.pool, j.tenant_id, j.project_id, v.number, v.tree_id, j.priority, j.queued_at
      FROM grouped g CROSS JOIN LATERAL (
        SELECT r.* FROM job r WHERE r.pool = g.pool AND r.tenant_id = g.tenant_id AND r.demand = g.demand AND r.state = 'queued' AND NOT r.backing_off
         ORDER BY r.priority DESC, r.queued_at, r.id LIMIT each) j
      JOIN project p ON p.id = j.project_id JOIN version v ON v.project_id = p.id AND v.number = p.head_version
     WHERE NOT EXISTS (SELECT FROM held_tree t JOIN worker w ON w.id = t.worker_id
                        WHERE t.tenant_id = j.tenant_id AND t.tree_id = v.tree_id AND w.pool = j.pool AND w.ended_at IS NULL)
     ORDER BY j.pool, j.tenant_id, v.tree_id, j.priority DESC, j.queued_at),
  next AS (
    SELECT x.*, row_number() OVER (PARTITION BY x.pool ORDER BY x.priority DESC, x.queued_at, x.id) AS n FROM waiting x),
  -- Once for all of a pool's trees; of a pool with nothing to fetch, not at all.
  idle AS MATERIALIZED (
    SELECT w.id, w.pool, row_number() OVER (PARTITION BY w.pool ORDER BY b.since NULLS FIRST, w.id) AS n
      FROM worker w LEFT JOIN (SELECT a.worker_id, min(a.started_at) AS since FROM attempt a WHERE a.state = 'running' GROUP BY a.worker_id) b
        ON b.worker_id = w.id
     WHERE w.pool IN (SELECT x.pool FROM waiting x) AND w.ended_at IS NULL AND NOT w.draining AND w.lease_until > clock_timestamp())
  SELECT i.id, n.tenant_id, n.project_id, n.number, n.tree_id
    FROM next n JOIN idle i ON i.pool = n.pool AND i.n = n.n JOIN job j ON j.id = n.id JOIN worker w ON w.id = i.id
   WHERE n.n <= most AND dd_suits_v1(w, j);
END $$;
