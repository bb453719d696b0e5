-- Admit as before, and name with each ticket the worker it is offered to first: one with a free slot that holds the tree of the job's base
-- version, or made it. Offers go out only while the pool has slots for all that is admitted: with more tickets than slots, a slot
-- that frees takes the next ticket at once, and waiting for the right worker would only cost.
-- `offered_*` are offers that are out; those still unclaimed take a slot of their worker. Of a tree that very many hold, some 256 are asked.
CREATE FUNCTION dd_admit_v3(h uuid, tm bigint, lookahead int, batch int, offered_jobs uuid[], offered_workers uuid[])
RETURNS TABLE (ticket_job uuid, ticket_seq int, ticket_pool text, ticket_priority smallint, ticket_near uuid) LANGUAGE plpgsql AS $$
DECLARE jobs uuid[]; seqs int[]; pools text[]; priorities smallint[];
BEGIN
  SELECT array_agg(a.ticket_job), array_agg(a.ticket_seq), array_agg(a.ticket_pool), array_agg(a.ticket_priority)
    INTO jobs, seqs, pools, priorities FROM dd_admit_v2(h, tm, lookahead, batch) a;
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
        >= (SELECT count(*) FROM job b WHERE b.pool = o.pool AND b.state IN ('dispatched', 'running'))),
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
