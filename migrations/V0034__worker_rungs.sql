-- Why a worker does not make workspaces in a better way: {rung: reason}.
ALTER TABLE worker ADD refused_rungs jsonb NOT NULL DEFAULT '{}';

-- A worker starts: its predecessor on the same scratch directory is over, whatever its lease says.
CREATE FUNCTION dd_worker_start_v3(w uuid, inst text, po text, sl int, ag text[], la jsonb, iso text, ru text, refused jsonb, b text, ttl interval)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE worker SET ended_at = clock_timestamp() WHERE instance = inst AND ended_at IS NULL;
  INSERT INTO worker (id, instance, pool, slots, agents, labels, isolation, rung, refused_rungs, build, lease_until)
  VALUES (w, inst, po, sl, ag, la, iso::isolation, ru, refused, b, clock_timestamp() + ttl);
END $$;
