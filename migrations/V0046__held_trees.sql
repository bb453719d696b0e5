-- What workers have on their disks. A job whose base version is among it starts there at once: admission offers it to such a worker
-- first (V0047). Soft state: a row that is missing or wrong costs a fetch. Rows of workers that are over mean nothing, and go in time.
CREATE TABLE held_tree (
  tenant_id uuid NOT NULL REFERENCES tenant,
  tree_id bytea NOT NULL CHECK (length(tree_id) = 32),
  worker_id uuid NOT NULL REFERENCES worker,
  PRIMARY KEY (tenant_id, tree_id, worker_id)
);
CREATE INDEX held_tree_of_worker ON held_tree (worker_id);

ALTER TABLE worker ADD advertised boolean NOT NULL DEFAULT false;
CREATE INDEX worker_to_forget ON worker (id) WHERE ended_at IS NOT NULL AND advertised;

-- A worker tells which trees came to it and which went. False: it is over.
-- Locks: worker. FOR SHARE, so that it does not end between the check and what is told.
CREATE FUNCTION dd_advertise_v1(w uuid, tenants uuid[], trees bytea[], gone_tenants uuid[], gone_trees bytea[])
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE worker SET advertised = true WHERE id = w AND ended_at IS NULL AND NOT advertised;
  PERFORM FROM worker WHERE id = w AND ended_at IS NULL FOR SHARE;
  IF NOT FOUND THEN RETURN false; END IF;
  DELETE FROM held_tree h USING unnest(gone_tenants, gone_trees) AS g (tenant_id, tree_id)
   WHERE h.tenant_id = g.tenant_id AND h.tree_id = g.tree_id AND h.worker_id = w;
  INSERT INTO held_tree (tenant_id, tree_id, worker_id)
  SELECT t.tenant_id, t.tree_id, w FROM unnest(tenants, trees) AS t (tenant_id, tree_id) ON CONFLICT DO NOTHING;
  RETURN true;
END $$;

-- What workers held that are over, a bounded part at a time; answers how many rows went. Apart from ending them, which must not wait for it.
CREATE FUNCTION dd_forget_held_v1(most int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE over uuid; n int;
BEGIN
  SELECT w.id INTO over FROM worker w WHERE w.ended_at IS NOT NULL AND w.advertised ORDER BY w.id LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN 0; END IF;
  DELETE FROM held_tree WHERE ctid = ANY (ARRAY(SELECT h.ctid FROM held_tree h WHERE h.worker_id = over LIMIT most));
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n < most THEN
    UPDATE worker SET advertised = false WHERE id = over;
  END IF;
  RETURN n;
END $$;
