-- What tenants have used, by project and UTC day: counted by the leader from the events that tell of a job's end, beside the
-- transactions that accept, claim and finish jobs, which know nothing of it.

-- No reference to anything: it outlives projects, what is kept of their history, and events.
CREATE TABLE usage_day (
  tenant_id uuid NOT NULL,
  -- The UTC day on which the jobs ended; all of a job's attempts count there.
  day date NOT NULL,
  project_id uuid NOT NULL,
  completed bigint NOT NULL,
  error bigint NOT NULL,
  cancelled bigint NOT NULL,
  attempts bigint NOT NULL,
  -- How long the attempts held a slot each.
  slot_ms bigint NOT NULL,
  log_bytes bigint NOT NULL,
  -- Of the objects that these attempts were the ones to upload.
  stored_bytes bigint NOT NULL,
  PRIMARY KEY (tenant_id, day, project_id)
);

-- How far events are counted. One row; whoever counts holds it.
CREATE TABLE usage_cursor (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  xid xid8 NOT NULL,
  event_id bigint NOT NULL,
  -- The greatest event id seen so far. Ids are not in the order of commits, but after a restore all new ones are greater.
  greatest_id bigint NOT NULL,
  -- Events up to this id were counted before a restore.
  floor_id bigint NOT NULL
);
-- From the first event on: what ended before this migration is counted, too.
INSERT INTO usage_cursor (xid, event_id, greatest_id, floor_id) VALUES ('0', 0, 0, 0);

-- Counts the jobs that ended among the next `most` events, with the cursor in one transaction. Answers how many events it read and how
-- many jobs had ended among them; no row where another one counts.
-- A dump that is restored into a young cluster brings a cursor that no transaction there has reached. What was not counted lies behind it
-- and is counted at once; then it starts over, for what the new cluster's low transaction ids bring, and passes what the dump brought.
-- Locks: the cursor, waiting for nobody.
CREATE FUNCTION dd_count_usage_v1(most int) RETURNS TABLE (events int, jobs int) LANGUAGE plpgsql AS $$
DECLARE here usage_cursor; restored boolean; top xid8; last_xid xid8; last_id bigint; newest bigint;
BEGIN
  SELECT * INTO here FROM usage_cursor FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN; END IF;
  restored := here.xid >= pg_snapshot_xmax(pg_current_snapshot());
  top := CASE WHEN restored THEN '18446744073709551615'::xid8 ELSE pg_snapshot_xmin(pg_current_snapshot()) END;
  -- All below `top` is settled: the statements that follow see the same.
  SELECT count(*), max(e.id), (array_agg(e.xid ORDER BY e.xid DESC, e.id DESC))[1], (array_agg(e.id ORDER BY e.xid DESC, e.id DESC))[1]
    INTO events, newest, last_xid, last_id
    FROM (SELECT v.xid, v.id FROM event v WHERE (v.xid, v.id) > (here.xid, here.event_id) AND v.xid < top ORDER BY v.xid, v.id LIMIT most) e;
  newest := greatest(here.greatest_id, newest);
  jobs := 0;
  IF events > 0 THEN
    WITH ended AS MATERIALIZED (
      SELECT e.tenant_id, e.project_id, e.job_id, e.data ->> 'status' AS status, e.at
        FROM event e
       WHERE (e.xid, e.id) > (here.xid, here.event_id) AND (e.xid, e.id) <= (last_xid, last_id) AND e.id > here.floor_id
         AND e.kind = 'status' AND e.data ->> 'status' IN ('completed', 'error', 'cancelled')),
    spent AS (
      SELECT d.*, w.attempts, w.slot_ms, w.log_bytes, w.stored_bytes
        FROM ended d CROSS JOIN LATERAL (
          SELECT count(*) AS attempts,
                 coalesce(sum(round(1000 * extract(epoch FROM coalesce(a.finished_at, d.at) - a.started_at))), 0) AS slot_ms,
                 coalesce(sum(a.log_bytes), 0) AS log_bytes,
                 coalesce(sum((SELECT sum(k.bytes) FROM unnest(coalesce(v.pack_ids || v.manifest_id, a.pack_ids || a.manifest_id)) AS o (id)
                                 JOIN pack k ON k.tenant_id = d.tenant_id AND k.id = o.id AND k.attempt_id = a.id)), 0) AS stored_bytes
            FROM attempt a LEFT JOIN version v ON v.attempt_id = a.id WHERE a.job_id = d.job_id) w),
    kept AS (
      INSERT INTO usage_day AS u (tenant_id, day, project_id, completed, error, cancelled, attempts, slot_ms, log_bytes, stored_bytes)
      SELECT s.tenant_id, (s.at AT TIME ZONE 'UTC')::date, s.project_id, count(*) FILTER (WHERE s.status = 'completed'),
             count(*) FILTER (WHERE s.status = 'error'), count(*) FILTER (WHERE s.status = 'cancelled'),
             sum(s.attempts), sum(s.slot_ms), sum(s.log_bytes), sum(s.stored_bytes)
        FROM spent s GROUP BY 1, 2, 3
      ON CONFLICT (tenant_id, day, project_id) DO UPDATE
        SET completed = u.completed + excluded.completed, error = u.error + excluded.error, cancelled = u.cancelled + excluded.cancelled,
            attempts = u.attempts + excluded.attempts, slot_ms = u.slot_ms + excluded.slot_ms,
            log_bytes = u.log_bytes + excluded.log_bytes, stored_bytes = u.stored_bytes + excluded.stored_bytes)
    SELECT count(*) INTO jobs FROM ended;
    UPDATE usage_cursor SET xid = last_xid, event_id = last_id, greatest_id = newest;
  END IF;
  IF restored AND events < most THEN
    UPDATE usage_cursor SET xid = '0', event_id = 0, floor_id = newest;
    -- There is more to read.
    events := most;
  END IF;
  RETURN NEXT;
END $$;
