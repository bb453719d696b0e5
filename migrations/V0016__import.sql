-- A project from an uploaded tree: its version 1 has no attempt.
CREATE FUNCTION dd_import_v1(p uuid, t uuid, i text, a text, po text, l jsonb, iso text, tree jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM dd_create_project_v1(p, t, i, a, po, l, iso);
  INSERT INTO pack (tenant_id, id, bytes, state)
  SELECT t, decode(k ->> 'id', 'hex'), (k ->> 'bytes')::bigint, 'live' FROM jsonb_array_elements(tree -> 'packs') k
   ORDER BY 2
  ON CONFLICT (tenant_id, id) DO UPDATE SET state = 'live' WHERE pack.state <> 'live';
  INSERT INTO version (project_id, number, parent, tree_id, manifest_id, pack_ids, file_count, total_bytes, author_kind, author_id)
  VALUES (p, 1, 0, decode(tree ->> 'tree_id', 'hex'), decode(tree ->> 'manifest_id', 'hex'),
          (SELECT coalesce(array_agg(decode(k ->> 'id', 'hex')), '{}') FROM jsonb_array_elements(tree -> 'packs') k),
          (tree ->> 'file_count')::int, (tree ->> 'total_bytes')::bigint, 'import', p);
  UPDATE project SET head_version = 1 WHERE id = p;
END $$;
