-- Keeps packs from the collector until this transaction is over. They must be live: a version that still stands names them.
-- KEY SHARE, because the collector takes FOR UPDATE before it condemns one.
CREATE FUNCTION dd_hold_packs_v1(t uuid, ids bytea[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE held int;
BEGIN
  SELECT count(*) INTO held
    FROM (SELECT 1 FROM pack k WHERE k.tenant_id = t AND k.id = ANY (ids) AND k.state = 'live' ORDER BY k.id FOR KEY SHARE) live;
  IF held < (SELECT count(DISTINCT id) FROM unnest(ids) id) THEN
    RAISE EXCEPTION 'a pack of the version is not live' USING ERRCODE = 'data_corrupted';
  END IF;
END $$;

-- Makes the tree of version `n` the newest version: a row, no bytes. `expected` are the heads it may follow (NULL: any).
-- Outcomes: restored | same (the head has that tree already, whatever was expected: a repeated call changes nothing) | moved (the
-- head is another one) | empty (version 0 has no tree) | no_version | no_project. `head` is the newest version afterwards.
-- Jobs that run go on; one that changed files finishes with a conflict and runs again on the new head.
-- Locks: project, packs.
CREATE FUNCTION dd_restore_v1(t uuid, p uuid, n int, expected int[]) RETURNS TABLE (outcome text, head int) LANGUAGE plpgsql AS $$
DECLARE v version; tip version;
BEGIN
  SELECT q.head_version INTO head FROM project q WHERE q.id = p AND q.tenant_id = t AND q.deleted_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN outcome := 'no_project'; RETURN NEXT; RETURN; END IF;
  SELECT * INTO v FROM version x WHERE x.project_id = p AND x.number = n;
  SELECT * INTO tip FROM version x WHERE x.project_id = p AND x.number = head;
  outcome := CASE
    WHEN n = head OR v.tree_id = tip.tree_id THEN 'same'
    WHEN n <> 0 AND v.number IS NULL THEN 'no_version'
    WHEN head <> ALL (expected) THEN 'moved'
    WHEN n = 0 THEN 'empty'
    ELSE 'restored' END;
  IF outcome = 'restored' THEN
    PERFORM dd_hold_packs_v1(t, v.pack_ids);
    INSERT INTO version (project_id, number, parent, tree_id, manifest_id, delta, pack_ids, file_count, total_bytes, author_kind, author_id,
                         source_version)
    VALUES (p, head + 1, head, v.tree_id, v.manifest_id, v.delta, v.pack_ids, v.file_count, v.total_bytes, 'restore', p, n);
    head := head + 1;
    UPDATE project SET head_version = head WHERE id = p;
  END IF;
  RETURN NEXT;
END $$;
