-- Makes the tree of version `n` the newest version: a row, no bytes. `expected` are the heads it may follow (NULL: any).
-- Outcomes: restored | same (the head has that tree already, whatever was expected: a repeated call changes nothing) | moved (the
-- head is another one) | empty (version 0 has no tree) | expired (its files are kept no more) | no_version | no_project. `head` is the newest version afterwards.
-- Jobs that run go on; one that changed files finishes with a conflict and runs again on the new head.
-- Locks: project, objects.
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
    WHEN v.expired_at IS NOT NULL OR NOT dd_hold_objects_v1(t, v.pack_ids || v.manifest_id) THEN 'expired'
    ELSE 'restored' END;
  IF outcome = 'restored' THEN
    INSERT INTO version (project_id, number, parent, tree_id, manifest_id, delta, pack_ids, file_count, total_bytes, author_kind, author_id,
                         source_version)
    VALUES (p, head + 1, head, v.tree_id, v.manifest_id, v.delta, v.pack_ids, v.file_count, v.total_bytes, 'restore', p, n);
    head := head + 1;
    UPDATE project SET head_version = head WHERE id = p;
  END IF;
  RETURN NEXT;
END $$;
