-- A project whose version 1 is the tree of version `n` (NULL: the newest) of `origin`: a row, no bytes. Of version 0 comes an empty
-- project. `i` and `l` are its instruction and labels (NULL: the origin's); agent, pool and isolation are the origin's. Its rows
-- stand for themselves: the origin may go.
-- Outcomes: forked | replayed (same key, same body) | key_reused (same key, other body) | expired (its files are kept no more) |
-- no_version | no_project.
-- Locks: origin (FOR SHARE, so that it is not deleted meanwhile), objects, key.
CREATE FUNCTION dd_fork_v1(t uuid, origin uuid, n int, child uuid, i text, l jsonb, k text, f bytea)
RETURNS TABLE (outcome text, made uuid) LANGUAGE plpgsql AS $$
DECLARE q project; v version; before idempotency;
BEGIN
  -- A repeated call answers as the first did, whatever became of the origin since.
  SELECT * INTO before FROM idempotency d WHERE d.tenant_id = t AND d.key = k;
  IF FOUND THEN
    outcome := CASE WHEN before.fingerprint = f THEN 'replayed' ELSE 'key_reused' END; made := before.resource_id;
    RETURN NEXT; RETURN;
  END IF;
  SELECT * INTO q FROM project o WHERE o.id = origin AND o.tenant_id = t AND o.deleted_at IS NULL FOR SHARE;
  IF NOT FOUND THEN outcome := 'no_project'; RETURN NEXT; RETURN; END IF;
  n := coalesce(n, q.head_version);
  SELECT * INTO v FROM version x WHERE x.project_id = origin AND x.number = n;
  IF NOT FOUND AND n <> 0 THEN outcome := 'no_version'; RETURN NEXT; RETURN; END IF;
  IF n > 0 AND (v.expired_at IS NOT NULL OR NOT dd_hold_objects_v1(t, v.pack_ids || v.manifest_id)) THEN
    outcome := 'expired'; RETURN NEXT; RETURN;
  END IF;
  IF k IS NOT NULL THEN
    INSERT INTO idempotency (tenant_id, key, fingerprint, resource_id) VALUES (t, k, f, child) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      RETURN QUERY SELECT CASE WHEN d.fingerprint = f THEN 'replayed' ELSE 'key_reused' END, d.resource_id
                     FROM idempotency d WHERE d.tenant_id = t AND d.key = k;
      RETURN;
    END IF;
  END IF;
  PERFORM dd_create_project_v1(child, t, coalesce(i, q.instruction), q.agent, q.pool, coalesce(l, q.labels), q.min_isolation::text);
  IF n > 0 THEN
    INSERT INTO version (project_id, number, parent, tree_id, manifest_id, delta, pack_ids, file_count, total_bytes, author_kind, author_id,
                         source_version)
    VALUES (child, 1, 0, v.tree_id, v.manifest_id, v.delta, v.pack_ids, v.file_count, v.total_bytes, 'fork', origin, n);
    UPDATE project SET head_version = 1 WHERE id = child;
  END IF;
  outcome := 'forked';
  made := child;
  RETURN NEXT;
END $$;
