-- What workers have on their disks. A job whose base version is among it starts there at once: admission offers it to such a worker
-- first (V0047). Soft state: a row that is missing or wrong costs a fetch.
CREATE TABLE held_tree (
  tenant_id uuid NOT NULL REFERENCES tenant,
  tree_id bytea NOT NULL CHECK (length(tree_id) = 32),
  worker_id uuid NOT NULL REFERENCES worker,
  PRIMARY KEY (tenant_id, tree_id, worker_id)
);
CREATE INDEX held_tree_of_worker ON held_tree (worker_id);

-- A worker that is over holds nothing any more.
CREATE FUNCTION dd_forget_held_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM held_tree WHERE worker_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER forget_held AFTER UPDATE OF ended_at ON worker FOR EACH ROW
  WHEN (OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL) EXECUTE FUNCTION dd_forget_held_v1();

-- A worker tells which trees came to it and which went. False: it is over.
-- Locks: worker. FOR SHARE, so that it does not end between the check and what is told.
CREATE FUNCTION dd_advertise_v1(w uuid, tenants uuid[], trees bytea[], gone_tenants uuid[], gone_trees bytea[])
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM worker WHERE id = w AND ended_at IS NULL FOR SHARE;
  IF NOT FOUND THEN RETURN false; END IF;
  DELETE FROM held_tree h USING unnest(gone_tenants, gone_trees) AS g (tenant_id, tree_id)
   WHERE h.tenant_id = g.tenant_id AND h.tree_id = g.tree_id AND h.worker_id = w;
  INSERT INTO held_tree (tenant_id, tree_id, worker_id)
  SELECT t.tenant_id, t.tree_id, w FROM unnest(tenants, trees) AS t (tenant_id, tree_id) ON CONFLICT DO NOTHING;
  RETURN true;
END $$;
