-- Drop versions: their rows stay, what they alone name becomes suspect. Never the head of a project that is not deleted, nor what a
-- running attempt started from. An object that the version after it names, too, is left to that one, unless that was dropped before.
-- Returns how many it dropped. Locks: versions in number order, objects.
CREATE FUNCTION dd_expire_versions_v1(p uuid, numbers int[]) RETURNS int LANGUAGE plpgsql AS $$
DECLARE chosen int[]; pr project;
BEGIN
  SELECT * INTO STRICT pr FROM project WHERE id = p;
  chosen := ARRAY(SELECT v.number FROM version v
    WHERE v.project_id = p AND v.number = ANY (numbers) AND v.expired_at IS NULL
      AND (v.number < pr.head_version OR pr.deleted_at IS NOT NULL)
      AND NOT EXISTS (SELECT FROM attempt a JOIN job j ON j.id = a.job_id
                       WHERE a.state = 'running' AND a.base_version = v.number AND j.project_id = p)
    ORDER BY v.number FOR NO KEY UPDATE);
  IF cardinality(chosen) = 0 THEN RETURN 0; END IF;
  PERFORM dd_suspect_v1(pr.tenant_id, ARRAY(
    SELECT DISTINCT o.id FROM version v CROSS JOIN LATERAL unnest(v.pack_ids || v.manifest_id) AS o (id)
      LEFT JOIN version n ON n.project_id = p AND n.number = v.number + 1 AND n.expired_at IS NULL
     WHERE v.project_id = p AND v.number = ANY (chosen) AND (n.number IS NULL OR NOT o.id = ANY (n.pack_ids || n.manifest_id))));
  UPDATE version SET expired_at = clock_timestamp(), delta = NULL WHERE project_id = p AND number = ANY (chosen);
  RETURN cardinality(chosen);
END $$;

-- Versions of a project that its retention, or without one its tenant's, does not keep. A version stays for `grace` after its successor
-- was made, so that an attempt that was claimed just before is seen to need it.
CREATE FUNCTION dd_unkept_v1(p uuid, grace interval) RETURNS TABLE (number int) LANGUAGE sql STABLE AS $$
  SELECT v.number
    FROM project pr JOIN tenant t ON t.id = pr.tenant_id
   CROSS JOIN LATERAL (SELECT CASE WHEN own THEN pr.keep_versions ELSE t.keep_versions END AS newest,
                              CASE WHEN own THEN pr.keep_for_s ELSE t.keep_for_s END AS young
                         FROM (SELECT pr.keep_versions IS NOT NULL OR pr.keep_for_s IS NOT NULL AS own) whose) keep
    JOIN version v ON v.project_id = pr.id JOIN version n ON n.project_id = v.project_id AND n.number = v.number + 1
   WHERE pr.id = p AND pr.deleted_at IS NULL AND (keep.newest IS NOT NULL OR keep.young IS NOT NULL)
     AND v.expired_at IS NULL AND n.created_at < clock_timestamp() - grace
     AND (keep.newest IS NULL OR v.number <= pr.head_version - keep.newest)
     AND (keep.young IS NULL OR v.created_at < clock_timestamp() - make_interval(secs => keep.young)) $$;

-- One page of projects, by id from `after` on: what is not kept is dropped.
-- Answers how many versions were dropped and the last project looked at, NULL at the end. Locks: those of the drop.
CREATE FUNCTION dd_retain_v1(after uuid, projects int, most int, grace interval) RETURNS TABLE (last uuid, expired int) LANGUAGE plpgsql AS $$
DECLARE p uuid; numbers int[]; seen int := 0;
BEGIN
  expired := 0;
  FOR p IN SELECT pr.id FROM project pr WHERE pr.id > after ORDER BY pr.id LIMIT projects LOOP
    seen := seen + 1;
    last := p;
    numbers := ARRAY(SELECT u.number FROM dd_unkept_v1(p, grace) u ORDER BY u.number LIMIT most - expired);
    IF cardinality(numbers) > 0 THEN expired := expired + dd_expire_versions_v1(p, numbers); END IF;
    EXIT WHEN expired >= most;
  END LOOP;
  IF seen < projects AND expired < most THEN last := NULL; END IF;
  RETURN NEXT;
END $$;

-- Trees that attempts left unlisted are dropped `keep` after their end. Returns how many. Locks: attempts, objects.
CREATE FUNCTION dd_expire_trees_v1(keep interval, most int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE chosen uuid[];
BEGIN
  chosen := ARRAY(SELECT a.id FROM attempt a
    WHERE a.manifest_id IS NOT NULL AND a.tree_expired_at IS NULL AND a.finished_at < clock_timestamp() - keep
    ORDER BY a.finished_at LIMIT most FOR NO KEY UPDATE SKIP LOCKED);
  RETURN dd_drop_trees_v1(chosen);
END $$;

-- The caller holds the attempts.
CREATE FUNCTION dd_drop_trees_v1(chosen uuid[]) RETURNS int LANGUAGE plpgsql AS $$
DECLARE t uuid;
BEGIN
  FOR t IN SELECT DISTINCT j.tenant_id FROM attempt a JOIN job j ON j.id = a.job_id WHERE a.id = ANY (chosen) ORDER BY 1 LOOP
    PERFORM dd_suspect_v1(t, ARRAY(SELECT DISTINCT unnest(a.pack_ids || a.manifest_id)
      FROM attempt a JOIN job j ON j.id = a.job_id WHERE a.id = ANY (chosen) AND j.tenant_id = t));
  END LOOP;
  UPDATE attempt SET tree_expired_at = clock_timestamp(), delta = NULL WHERE id = ANY (chosen);
  RETURN cardinality(chosen);
END $$;
