-- How many jobs each pool has and since when one waits, as the leader counts them beside its gauges: whoever wants to know reads a row a
-- pool, however long the queue is.
CREATE TABLE pool_count (
  pool text PRIMARY KEY,
  -- Of workers that take jobs.
  slots bigint NOT NULL,
  scheduled bigint NOT NULL,
  pending bigint NOT NULL,
  -- May be admitted.
  queued bigint NOT NULL,
  -- To be admitted after a pause.
  backing_off bigint NOT NULL,
  dispatched bigint NOT NULL,
  running bigint NOT NULL,
  -- Since when that job waits that has waited for a slot longest.
  oldest_at timestamptz,
  counted_at timestamptz NOT NULL,
  -- When there was last a job or a worker.
  seen_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Counts, keeps the counts and answers them. A pool of which nothing is left counts 0 instead of vanishing, for a month: whoever scales it
-- asks on. Each part reads an index of its own, so that ended jobs, which are most, are never read.
-- Locks: its own rows, in the order of their pools.
CREATE FUNCTION dd_count_pools_v1() RETURNS SETOF pool_count LANGUAGE plpgsql AS $$
DECLARE began timestamptz := clock_timestamp();
BEGIN
  INSERT INTO pool_count AS kept (pool, slots, scheduled, pending, queued, backing_off, dispatched, running, oldest_at, counted_at, seen_at)
  SELECT p.pool, sum(p.slots),
         coalesce(sum(p.jobs) FILTER (WHERE p.state = 'scheduled'), 0), coalesce(sum(p.jobs) FILTER (WHERE p.state = 'pending'), 0),
         coalesce(sum(p.jobs) FILTER (WHERE p.state = 'queued'), 0), coalesce(sum(p.jobs) FILTER (WHERE p.state = 'backing_off'), 0),
         coalesce(sum(p.jobs) FILTER (WHERE p.state = 'dispatched'), 0), coalesce(sum(p.jobs) FILTER (WHERE p.state = 'running'), 0),
         min(p.oldest), began, max(p.seen)
    FROM (
      SELECT j.pool, 'scheduled' AS state, count(*) AS jobs, 0::bigint AS slots, NULL::timestamptz AS oldest, began AS seen
        FROM job j WHERE j.state = 'scheduled' AND j.unmet = 0 GROUP BY 1
      UNION ALL SELECT j.pool, 'scheduled', count(*), 0, NULL, began FROM job j WHERE j.state = 'scheduled' AND j.unmet > 0 GROUP BY 1
      UNION ALL SELECT j.pool, 'pending', count(*), 0, NULL, began FROM job j WHERE j.state = 'pending' GROUP BY 1
      UNION ALL SELECT j.pool, 'queued', count(*), 0, min(j.queued_at), began FROM job j WHERE j.state = 'queued' AND NOT j.backing_off GROUP BY 1
      UNION ALL SELECT j.pool, 'backing_off', count(*), 0, NULL, began FROM job j WHERE j.state = 'queued' AND j.backing_off GROUP BY 1
      UNION ALL SELECT j.pool, j.state::text, count(*), 0, min(j.queued_at) FILTER (WHERE j.state = 'dispatched'), began
        FROM job j WHERE j.state IN ('dispatched', 'running') GROUP BY 1, 2
      UNION ALL SELECT w.pool, NULL, 0, coalesce(sum(w.slots) FILTER (WHERE NOT w.draining), 0), NULL, began
        FROM worker w WHERE w.ended_at IS NULL GROUP BY 1
      UNION ALL SELECT k.pool, NULL, 0, 0, NULL, k.seen_at FROM pool_count k) p
   GROUP BY p.pool ORDER BY p.pool
  ON CONFLICT (pool) DO UPDATE
    SET slots = excluded.slots, scheduled = excluded.scheduled, pending = excluded.pending, queued = excluded.queued,
        backing_off = excluded.backing_off, dispatched = excluded.dispatched, running = excluded.running, oldest_at = excluded.oldest_at,
        counted_at = excluded.counted_at, seen_at = excluded.seen_at;
  DELETE FROM pool_count k WHERE k.seen_at < began - interval '30 days';
  RETURN QUERY SELECT k.* FROM pool_count k ORDER BY k.pool;
END $$;
