-- Tickets to send again, under a new seq: those named (not confirmed), and those nobody claimed for `older`.
CREATE FUNCTION dd_redispatch_v1(h uuid, tm bigint, unconfirmed uuid[], older interval, batch int)
RETURNS TABLE (ticket_job uuid, ticket_seq int, ticket_pool text, ticket_priority smallint) LANGUAGE plpgsql AS $$
BEGIN
  IF NOT dd_leads_v1('fleet', h, tm) THEN RETURN; END IF;
  RETURN QUERY
  WITH pick AS (
    SELECT r.id FROM job r
     WHERE r.state = 'dispatched' AND r.cancel_at IS NULL
       AND (r.id = ANY (unconfirmed) OR r.dispatched_at < clock_timestamp() - older)
     ORDER BY r.id LIMIT batch FOR UPDATE SKIP LOCKED)
  UPDATE job d SET dispatch_seq = d.dispatch_seq + 1, dispatched_at = clock_timestamp()
    FROM pick WHERE d.id = pick.id AND d.state = 'dispatched'
  RETURNING d.id, d.dispatch_seq, d.pool, d.priority;
END $$;

-- A worker hands back a ticket it cannot serve, or the leader takes back one that has no consumer.
CREATE FUNCTION dd_return_ticket_v1(j uuid, seq int, pause interval) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE back job;
BEGIN
  UPDATE job SET state = 'queued', run_at = clock_timestamp() + pause
   WHERE id = j AND state = 'dispatched' AND dispatch_seq = seq RETURNING * INTO back;
  RETURN FOUND;
END $$;
