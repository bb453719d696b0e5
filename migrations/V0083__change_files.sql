-- A version by hand: `tree` (as for dd_finish_v4), made of the version `base`, becomes the newest. `by` is who made it: the key that
-- asked, or the project where none was needed. `beside`: also while a job that writes runs. It then finishes with a conflict and runs
-- again on the new head, which nobody should cause without meaning to.
-- Outcomes: made | moved (the head is another one) | busy (`writer` runs) | gone (objects of the tree were collected meanwhile: store
-- them again) | no_project. `head` is the newest version afterwards.
-- Locks: project, objects that the base has not.
CREATE FUNCTION dd_change_files_v1(t uuid, p uuid, base int, tree jsonb, by uuid, beside boolean)
RETURNS TABLE (outcome text, head int, writer uuid) LANGUAGE plpgsql AS $$
DECLARE packs bytea[];
BEGIN
  SELECT q.head_version INTO head FROM project q WHERE q.id = p AND q.tenant_id = t AND q.deleted_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN outcome := 'no_project'; RETURN NEXT; RETURN; END IF;
  SELECT j.id INTO writer FROM job j WHERE j.project_id = p AND j.state = 'running' AND NOT j.read_only;
  packs := ARRAY(SELECT decode(k ->> 'id', 'hex') FROM jsonb_array_elements(tree -> 'packs') k);
  outcome := CASE
    WHEN head <> base THEN 'moved'
    WHEN writer IS NOT NULL AND NOT beside THEN 'busy'
    WHEN NOT dd_hold_objects_v1(t, ARRAY(
           SELECT unnest(packs || decode(tree ->> 'manifest_id', 'hex'))
           EXCEPT SELECT unnest(v.pack_ids || v.manifest_id) FROM version v WHERE v.project_id = p AND v.number = base)) THEN 'gone'
    ELSE 'made' END;
  IF outcome = 'made' THEN
    INSERT INTO version (project_id, number, parent, tree_id, manifest_id, delta, pack_ids, file_count, total_bytes, author_kind, author_id)
    VALUES (p, head + 1, head, decode(tree ->> 'tree_id', 'hex'), decode(tree ->> 'manifest_id', 'hex'), decode(tree ->> 'delta', 'base64'),
            packs, (tree ->> 'file_count')::int, (tree ->> 'total_bytes')::bigint, 'user', by);
    head := head + 1;
    UPDATE project SET head_version = head WHERE id = p;
  END IF;
  RETURN NEXT;
END $$;
