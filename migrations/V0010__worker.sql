-- A worker starts: its predecessor on the same scratch directory is over, whatever its lease says.
CREATE FUNCTION dd_worker_start_v1(w uuid, inst text, po text, sl int, ag text[], iso text, ru text, b text, ttl interval)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE worker SET ended_at = clock_timestamp() WHERE instance = inst AND ended_at IS NULL;
  INSERT INTO worker (id, instance, pool, slots, agents, isolation, rung, build, lease_until)
  VALUES (w, inst, po, sl, ag, iso::isolation, ru, b, clock_timestamp() + ttl);
END $$;

-- No claim succeeds for this worker from here on; its attempts go on.
CREATE FUNCTION dd_worker_drain_v1(w uuid) RETURNS void LANGUAGE sql AS $$
  UPDATE worker SET draining = true WHERE id = w $$;

CREATE FUNCTION dd_worker_end_v1(w uuid) RETURNS void LANGUAGE sql AS $$
  UPDATE worker SET ended_at = clock_timestamp() WHERE id = w AND ended_at IS NULL $$;
