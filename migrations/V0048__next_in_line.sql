-- Trees to bring to workers before their jobs come: of the jobs that wait in a pool without a free slot, those next in line whose base
-- version no worker of the pool has, each with the worker whose slot has been taken for longest and so is likely the next to free.
-- A guess: where the job goes is decided when it is admitted, and then it goes to who has its tree. Looks at no more than `each` jobs
-- of a group of (tenant, demand), so it does not depend on how many wait.
CREATE FUNCTION dd_next_in_line_v1(h uuid, tm bigint, each int)
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
  next AS MATERIALIZED (
    SELECT DISTINCT ON (j.pool, j.tenant_id, v.tree_id) j.id, j.pool, j.tenant_id, j.project_id, v.number, v.tree_id
      FROM grouped g CROSS JOIN LATERAL (
        SELECT r.* FROM job r WHERE r.pool = g.pool AND r.tenant_id = g.tenant_id AND r.demand = g.demand AND r.state = 'queued' AND NOT r.backing_off
         ORDER BY r.priority DESC, r.queued_at, r.id LIMIT each) j
      JOIN project p ON p.id = j.project_id JOIN version v ON v.project_id = p.id AND v.number = p.head_version
     WHERE NOT EXISTS (SELECT FROM held_tree t JOIN worker w ON w.id = t.worker_id
                        WHERE t.tenant_id = j.tenant_id AND t.tree_id = v.tree_id AND w.pool = j.pool)
     ORDER BY j.pool, j.tenant_id, v.tree_id, j.priority DESC, j.queued_at)
  SELECT chosen.id, n.tenant_id, n.project_id, n.number, n.tree_id
    FROM next n JOIN job j ON j.id = n.id CROSS JOIN LATERAL (
      SELECT w.id FROM worker w
       WHERE w.pool = n.pool AND w.ended_at IS NULL AND NOT w.draining AND w.lease_until > clock_timestamp() AND dd_suits_v1(w, j)
       ORDER BY (SELECT min(a.started_at) FROM attempt a WHERE a.worker_id = w.id AND a.state = 'running') NULLS FIRST LIMIT 1) chosen;
END $$;
