-- Admit as before; but what runs on a worker that drains takes no slot of those that take jobs. It was counted against them, which cost a
-- pool as many slots as its drained workers had jobs, for as long as those ran.
-- Admit about as many jobs as there are free slots, by pool; returns the tickets to publish.
-- 'dispatched' with its dispatch_seq is the outbox: a ticket that gets lost is sent again from this row.
-- Between tenants by slots in use over weight (each next slot to the tenant with the least), under each tenant's cap; within
-- a tenant by priority, then by how long the job has headed its lane. The cost is one count of the jobs in flight and one
-- index probe per group of (tenant, demand) with ready jobs, and does not depend on how many jobs wait.
CREATE FUNCTION dd_admit_v6(h uuid, tm bigint, lookahead int, batch int)
RETURNS TABLE (ticket_job uuid, ticket_seq int, ticket_pool text, ticket_priority smallint) LANGUAGE plpgsql AS $$
DECLARE c record; room int; picked uuid[]; more boolean; n int;
BEGIN
  IF NOT dd_leads_v1('fleet', h, tm) THEN RETURN; END IF;
  -- Nobody needs to know of ten thousand workers' slots when nothing is ready.
  IF NOT EXISTS (SELECT FROM job r WHERE r.state = 'queued' AND NOT r.backing_off) THEN RETURN; END IF;
  FOR c IN
    SELECT w.pool, sum(w.slots) FILTER (WHERE NOT w.draining) AS slots,
           (SELECT count(*) FROM job a WHERE a.pool = w.pool AND a.state IN ('dispatched', 'running'))
           - sum(CASE WHEN w.draining THEN (SELECT count(*) FROM attempt t WHERE t.worker_id = w.id AND t.state = 'running') ELSE 0 END) AS busy
      FROM worker w WHERE w.ended_at IS NULL AND w.lease_until > clock_timestamp() GROUP BY w.pool HAVING NOT bool_and(w.draining)
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
          FROM (SELECT DISTINCT g.tenant_id FROM grouped g JOIN served USING (demand)) g JOIN tenant t ON t.id = g.tenant_id AND t.disabled_at IS NULL
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

-- The same, naming with each ticket the worker it is offered to first: one with a free slot that holds the tree of the job's base
-- version, or made it. Offers go out only while the pool has slots for all that is admitted: with more tickets than slots, a slot
-- that frees takes the next ticket at once, and waiting for the right worker would only cost.
-- `offered_*` are offers that are out; those still unclaimed take a slot of their worker. Of a tree that very many hold, some 256 are asked.
CREATE FUNCTION dd_admit_v7(h uuid, tm bigint, lookahead int, batch int, offered_jobs uuid[], offered_workers uuid[])
RETURNS TABLE (ticket_job uuid, ticket_seq int, ticket_pool text, ticket_priority smallint, ticket_near uuid) LANGUAGE plpgsql AS $$
DECLARE jobs uuid[]; seqs int[]; pools text[]; priorities smallint[];
BEGIN
  SELECT array_agg(a.ticket_job), array_agg(a.ticket_seq), array_agg(a.ticket_pool), array_agg(a.ticket_priority)
    INTO jobs, seqs, pools, priorities FROM dd_admit_v6(h, tm, lookahead, batch) a;
  IF jobs IS NULL THEN RETURN; END IF;
  -- A statement of its own, whose snapshot has what was just admitted.
  RETURN QUERY
  WITH admitted AS MATERIALIZED (
    SELECT * FROM unnest(jobs, seqs, pools, priorities) WITH ORDINALITY AS a (ticket_job, ticket_seq, ticket_pool, ticket_priority, place)),
  based AS MATERIALIZED (
    SELECT a.place, a.ticket_job AS job_id, j.pool, j.tenant_id, j.demand, v.tree_id, v.attempt_id
      FROM admitted a JOIN job j ON j.id = a.ticket_job JOIN project p ON p.id = j.project_id
      JOIN version v ON v.project_id = p.id AND v.number = p.head_version),
  -- Jobs of one pool with the same tree and demand are served by the same workers.
  kind AS MATERIALIZED (
    SELECT DISTINCT ON (b.pool, b.tenant_id, b.tree_id, b.demand) b.pool, b.tenant_id, b.tree_id, b.demand, b.job_id FROM based b),
  holder AS MATERIALIZED (
    SELECT k.pool, k.tenant_id, k.tree_id, k.demand, held.worker_id
      FROM kind k JOIN job j ON j.id = k.job_id CROSS JOIN LATERAL (
        SELECT t.worker_id FROM held_tree t JOIN worker w ON w.id = t.worker_id
         WHERE t.tenant_id = k.tenant_id AND t.tree_id = k.tree_id
           AND w.ended_at IS NULL AND NOT w.draining AND w.lease_until > clock_timestamp() AND dd_suits_v1(w, j)
         LIMIT 256) held
    UNION
    SELECT b.pool, b.tenant_id, b.tree_id, b.demand, w.id
      FROM based b JOIN attempt t ON t.id = b.attempt_id JOIN worker w ON w.id = t.worker_id JOIN job j ON j.id = b.job_id
     WHERE w.ended_at IS NULL AND NOT w.draining AND w.lease_until > clock_timestamp() AND dd_suits_v1(w, j)),
  roomy AS MATERIALIZED (
    SELECT o.pool FROM (SELECT DISTINCT x.pool FROM holder x) o
     WHERE (SELECT sum(w.slots) FROM worker w WHERE w.pool = o.pool AND w.ended_at IS NULL AND NOT w.draining AND w.lease_until > clock_timestamp())
        >= (SELECT count(*) FROM job b WHERE b.pool = o.pool AND b.state IN ('dispatched', 'running'))
         - (SELECT count(*) FROM worker w JOIN attempt t ON t.worker_id = w.id AND t.state = 'running'
             WHERE w.pool = o.pool AND w.ended_at IS NULL AND w.draining)),
  out AS MATERIALIZED (
    SELECT o.worker_id, count(*) AS n FROM unnest(offered_jobs, offered_workers) AS o (job_id, worker_id)
      JOIN job j ON j.id = o.job_id AND j.state = 'dispatched' GROUP BY o.worker_id),
  free AS MATERIALIZED (
    SELECT w.id, least(batch, w.slots - coalesce(out.n, 0)
           - (SELECT count(*) FROM attempt t WHERE t.worker_id = w.id AND t.state = 'running')) AS slots
      FROM worker w LEFT JOIN out ON out.worker_id = w.id
     WHERE w.id IN (SELECT x.worker_id FROM holder x JOIN roomy r USING (pool))),
  -- Their free slots, one of each before a second of any.
  seat AS (
    SELECT x.pool, x.tenant_id, x.tree_id, x.demand, f.id AS worker_id,
           row_number() OVER (PARTITION BY x.pool, x.tenant_id, x.tree_id, x.demand ORDER BY s.n, f.slots DESC, f.id) AS n
      FROM holder x JOIN free f ON f.id = x.worker_id CROSS JOIN LATERAL generate_series(1, f.slots) AS s (n)),
  wanted AS (
    SELECT b.*, row_number() OVER (PARTITION BY b.pool, b.tenant_id, b.tree_id, b.demand ORDER BY b.place) AS n FROM based b),
  -- A worker may hold the trees of more jobs than it has slots.
  matched AS (
    SELECT w.job_id, s.worker_id, row_number() OVER (PARTITION BY s.worker_id ORDER BY w.place) AS turn
      FROM wanted w JOIN seat s USING (pool, tenant_id, tree_id, demand, n))
  SELECT a.ticket_job, a.ticket_seq, a.ticket_pool, a.ticket_priority,
         (SELECT m.worker_id FROM matched m JOIN free f ON f.id = m.worker_id AND m.turn <= f.slots WHERE m.job_id = a.ticket_job)
    FROM admitted a ORDER BY a.place;
END $$;
