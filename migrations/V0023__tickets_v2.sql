-- Tickets to send again, under a new seq: those named (not confirmed), and those nobody claimed for `older`, twice as long
-- after each time. A job no living worker could run goes back to the queue, where it waits without a ticket.
CREATE FUNCTION dd_redispatch_v2(h uuid, tm bigint, unconfirmed uuid[], older interval, batch int)
RETURNS TABLE (ticket_job uuid, ticket_seq int, ticket_pool text, ticket_priority smallint) LANGUAGE plpgsql AS $$
DECLARE ids uuid[];
BEGIN
  IF NOT dd_leads_v1('fleet', h, tm) THEN RETURN; END IF;
  ids := ARRAY(
    SELECT r.id FROM job r
     WHERE r.state = 'dispatched' AND (r.id = ANY (unconfirmed)
        OR r.dispatched_at < clock_timestamp() - older AND r.dispatched_at < clock_timestamp() - older * power(2, least(r.redispatches, 4)))
     ORDER BY r.id LIMIT batch FOR UPDATE SKIP LOCKED);
  IF ids = '{}' THEN RETURN; END IF;
  UPDATE job q SET state = 'queued', redispatches = 0 WHERE q.id = ANY (ids) AND q.state = 'dispatched'
     AND NOT EXISTS (SELECT 1 FROM worker w WHERE w.pool = q.pool AND w.ended_at IS NULL AND NOT w.draining
                        AND w.lease_until > clock_timestamp() AND dd_suits_v1(w, q));
  RETURN QUERY
  UPDATE job d SET dispatch_seq = d.dispatch_seq + 1, dispatched_at = clock_timestamp(), redispatches = d.redispatches + 1
   WHERE d.id = ANY (ids) AND d.state = 'dispatched'
  RETURNING d.id, d.dispatch_seq, d.pool, d.priority::smallint;
END $$;

-- A worker hands back a ticket it cannot serve, or the leader one the broker gave up. Only the newest ticket counts.
CREATE FUNCTION dd_return_ticket_v2(j uuid, seq int, pause interval) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE job SET state = 'queued', redispatches = 0, backing_off = pause > interval '0', run_at = clock_timestamp() + pause
   WHERE id = j AND state = 'dispatched' AND dispatch_seq = seq;
  RETURN FOUND;
END $$;

-- Tickets a worker may claim without the broker: a random few of the oldest it can run. Only reads; the claim decides.
CREATE FUNCTION dd_pull_v1(w uuid, most int)
RETURNS TABLE (ticket_job uuid, ticket_seq int, ticket_pool text, ticket_priority smallint) LANGUAGE sql AS $$
  SELECT o.id, o.dispatch_seq, o.pool, o.priority::smallint
    FROM (SELECT j.* FROM worker k JOIN job j ON j.pool = k.pool
           WHERE k.id = w AND k.ended_at IS NULL AND NOT k.draining AND j.state = 'dispatched' AND dd_suits_v1(k, j)
           ORDER BY j.dispatched_at LIMIT 4 * most) o
   ORDER BY random() LIMIT most $$;
