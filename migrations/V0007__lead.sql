-- Leadership is for efficiency and fairness only: every transition re-checks its own predicate, so two leaders do no harm.
-- Returns the term while `h` leads, NULL while somebody else does.
CREATE FUNCTION dd_lead_v1(n text, h uuid, ttl interval) RETURNS bigint LANGUAGE sql AS $$
  INSERT INTO leader AS l (name, holder, term, expires_at) VALUES (n, h, 1, clock_timestamp() + ttl)
  ON CONFLICT (name) DO UPDATE
    SET holder = h, term = l.term + (l.holder <> h)::int, expires_at = clock_timestamp() + ttl
    WHERE l.holder = h OR l.expires_at < clock_timestamp()
  RETURNING term $$;

-- Gives the lead back at once on an orderly stop.
CREATE FUNCTION dd_resign_v1(n text, h uuid) RETURNS void LANGUAGE sql AS $$
  UPDATE leader SET expires_at = '-infinity' WHERE name = n AND holder = h $$;

CREATE FUNCTION dd_leads_v1(n text, h uuid, tm bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM leader WHERE name = n AND holder = h AND term = tm AND expires_at > clock_timestamp() FOR SHARE;
  RETURN FOUND;
END $$;
