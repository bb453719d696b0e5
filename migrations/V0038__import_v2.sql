-- A project from an uploaded tree: its version 1 has no attempt. False: objects of the tree were collected meanwhile, nothing is made.
CREATE FUNCTION dd_import_v2(p uuid, t uuid, i text, a text, po text, l jsonb, iso text, tree jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE packs bytea[];
BEGIN
  packs := ARRAY(SELECT decode(k ->> 'id', 'hex') FROM jsonb_array_elements(tree -> 'packs') k);
  IF NOT dd_hold_objects_v1(t, ARRAY(SELECT DISTINCT unnest(packs || decode(tree ->> 'manifest_id', 'hex')))) THEN RETURN false; END IF;
  PERFORM dd_create_project_v1(p, t, i, a, po, l, iso);
  INSERT INTO version (project_id, number, parent, tree_id, manifest_id, pack_ids, file_count, total_bytes, author_kind, author_id)
  VALUES (p, 1, 0, decode(tree ->> 'tree_id', 'hex'), decode(tree ->> 'manifest_id', 'hex'),
          packs,
          (tree ->> 'file_count')::int, (tree ->> 'total_bytes')::bigint, 'import', p);
  UPDATE project SET head_version = 1 WHERE id = p;
  RETURN true;
END $$;
