-- Admit about as many jobs as there are free slots, by pool; returns the tickets to publish.
-- 'dispatched' with its dispatch_seq is the outbox: a ticket that gets lost is sent again from this row.
-- Between tenants by slots in use over weight (each next slot to the tenant with the least), under each tenant's cap; within
-- a tenant by priority, then by how long the job has headed its lane. The cost is one count of the jobs in flight and one
-- index probe per group of (tenant, demand) with ready jobs, and does not depend on how many jobs wait.
CREATE FUNCTION dd_admit_v2(h uuid, tm bigint, lookahead int, batch int)
RETURNS TABLE (ticket_job uuid, ticket_seq int, ticket_pool text, ticket_priority smallint) LANGUAGE plpgsql AS $$
DECLARE c record; room int; picked uuid[]; more boolean; n int;
BEGIN
  IF NOT dd_leads_v1('fleet', h, tm) THEN RETURN; END IF;
  -- Nobody needs to know of ten thousand workers' slots when nothing is ready.
  IF NOT EXISTS (SELECT FROM job r WHERE r.state = 'queued' AND NOT r.backing_off) THEN RETURN; END IF;
  FOR c IN
    SELECT w.pool, sum(w.slots) AS slots, (SELECT count(*) FROM job a WHERE a.pool = w.pool AND a.state IN ('dispatched', 'running')) AS busy
      FROM worker w WHERE w.ended_at IS NULL AND NOT w.draining AND w.lease_until > clock_timestamp() GROUP BY w.pool
  LOOP
    room := least(batch, c.slots + lookahead - c.busy);
    CONTINUE WHEN room <= 0;
    -- A second round only where tenants with more jobs than their part could use what others leave.
    LOOP
      WITH RECURSIVE grouped AS (
        (SELECT r.tenant_id, r.demand, r.id FROM job r WHERE r.pool = c.pool AND r.state = 'queued' AND NOT r.backing_off
          ORDER BY r.tenant_id, r.demand LIMIT 1)
        UNION ALL
        SELECT n.tenant_id, n.demand, n.id FROM grouped g CROSS JOIN LATERAL (
          SELECT r.tenant_id, r.demand, r.id FROM job r WHERE r.pool = c.pool AND r.state = 'queued' AND NOT r.backing_off
             AND (r.tenant_id, r.demand) > (g.tenant_id, g.demand) ORDER BY r.tenant_id, r.demand LIMIT 1) n),
      served AS MATERIALIZED (
        SELECT d.demand FROM (SELECT DISTINCT ON (g.demand) g.demand, g.id FROM grouped g ORDER BY g.demand) d JOIN job j ON j.id = d.id
         WHERE EXISTS (SELECT 1 FROM worker w WHERE w.pool = c.pool AND w.ended_at IS NULL AND NOT w.draining
                          AND w.lease_until > clock_timestamp() AND dd_suits_v1(w, j))),
      used AS (
        SELECT a.tenant_id, count(*) FILTER (WHERE a.pool = c.pool) AS here, count(*) AS everywhere
          FROM job a WHERE a.state IN ('dispatched', 'running') GROUP BY 1),
      share AS (
        SELECT t.id, t.weight, coalesce(u.here, 0) AS used, least(room, coalesce(t.max_running - coalesce(u.everywhere, 0), room)) AS most,
               count(*) OVER () AS tenants
          FROM (SELECT DISTINCT g.tenant_id FROM grouped g JOIN served USING (demand)) g JOIN tenant t ON t.id = g.tenant_id
          LEFT JOIN used u ON u.tenant_id = t.id),
      -- How far the water stands when `room` slots are poured over the tenants with the least in use.
      level AS (
        SELECT min((room + p.used_below) / p.weight_below) FILTER (WHERE (room + p.used_below) / p.weight_below > p.ratio) AS height
          FROM (SELECT s.used::float8 / s.weight AS ratio, sum(s.used) OVER w::float8 AS used_below, sum(s.weight) OVER w::float8 AS weight_below
                  FROM share s WINDOW w AS (ORDER BY s.used::float8 / s.weight, s.id)) p),
      quota AS (
        SELECT s.*, least(s.most, greatest(ceil(coalesce(l.height, 0) * s.weight - s.used), 1000 / s.tenants))::int AS take
          FROM share s CROSS JOIN level l WHERE s.most > 0),
      ready AS (
        SELECT q.used, q.weight, q.most, r.*, row_number() OVER (PARTITION BY q.id ORDER BY r.priority DESC, r.queued_at, r.id) AS turn, q.take
          FROM quota q JOIN grouped g ON g.tenant_id = q.id JOIN served USING (demand)
         CROSS JOIN LATERAL (
           SELECT j.id AS job_id, j.priority, j.queued_at, j.id FROM job j
            WHERE j.pool = c.pool AND j.tenant_id = q.id AND j.demand = g.demand AND j.state = 'queued' AND NOT j.backing_off
            ORDER BY j.priority DESC, j.queued_at, j.id LIMIT greatest(q.take, 0)) r),
      chosen AS (
        SELECT r.job_id FROM ready r WHERE r.turn <= r.take
         ORDER BY (r.used + r.turn)::float8 / r.weight, r.queued_at, r.job_id LIMIT room)
      SELECT array_agg(chosen.job_id), (SELECT bool_or(r.turn = r.take AND r.take < r.most) FROM ready r) INTO picked, more FROM chosen;
      RETURN QUERY
      WITH held AS (
        SELECT j.id FROM job j WHERE j.id = ANY (picked) AND j.state = 'queued' AND NOT j.backing_off AND j.cancel_at IS NULL
         ORDER BY j.id FOR UPDATE SKIP LOCKED)
      UPDATE job d SET state = 'dispatched', dispatch_seq = d.dispatch_seq + 1, dispatched_at = clock_timestamp()
        FROM held WHERE d.id = held.id AND d.state = 'queued'
      RETURNING d.id, d.dispatch_seq, d.pool, d.priority::smallint;
      GET DIAGNOSTICS n = ROW_COUNT;
      room := room - n;
      EXIT WHEN n = 0 OR room <= 0 OR more IS NOT TRUE;
    END LOOP;
  END LOOP;
END $$;
