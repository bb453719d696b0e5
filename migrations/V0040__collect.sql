-- Why an object of a tenant is needed: version (one that is kept names it) | attempt (a tree that an attempt left) | NULL.
-- STABLE, and so read in the snapshot of the statement that asks: that must have begun after the object was locked.
-- The tenant is looked up, not joined, and no scan of all is considered: EXISTS makes the planner hope for an early match, but most that
-- is asked for has none.
CREATE FUNCTION dd_named_by_v1(t uuid, i bytea) RETURNS text LANGUAGE sql STABLE SET enable_seqscan = off AS $$
  SELECT CASE
    WHEN EXISTS (SELECT FROM version v
                  WHERE (v.pack_ids || v.manifest_id) @> ARRAY[i] AND v.expired_at IS NULL
                    AND (SELECT p.tenant_id FROM project p WHERE p.id = v.project_id) = t) THEN 'version'
    WHEN EXISTS (SELECT FROM attempt a
                  WHERE (a.pack_ids || a.manifest_id) @> ARRAY[i] AND a.manifest_id IS NOT NULL AND a.tree_expired_at IS NULL
                    AND (SELECT j.tenant_id FROM job j WHERE j.id = a.job_id) = t) THEN 'attempt' END $$;

-- Objects of dropped versions that running attempts started from: needed until these end. Few or none at any time.
CREATE FUNCTION dd_pinned_v1() RETURNS TABLE (tenant_id uuid, id bytea) LANGUAGE sql STABLE AS $$
  SELECT DISTINCT j.tenant_id, o.id
    FROM attempt a JOIN job j ON j.id = a.job_id JOIN version v ON v.project_id = j.project_id AND v.number = a.base_version
   CROSS JOIN LATERAL unnest(v.pack_ids || v.manifest_id) AS o (id)
   WHERE a.state = 'running' AND v.expired_at IS NOT NULL $$;

-- One batch of what may be garbage: live objects suspected for `grace`, and uploads announced so long ago whose attempt is over (or
-- that never had one). Each is condemned unless something needs it. Answers each with its fate: condemned | named | pinned.
-- Lock first, then look for names in a second statement: the first one's snapshot is older than its locks. SKIP LOCKED: a writer that
-- holds an object is about to name it. Locks: objects, waiting for none.
CREATE FUNCTION dd_condemn_v1(grace interval, most int) RETURNS TABLE (kind text, bytes bigint, was text, fate text) LANGUAGE plpgsql AS $$
DECLARE tenants uuid[]; ids bytea[];
BEGIN
  WITH suspects AS (
    SELECT o.tenant_id, o.id FROM pack o
     WHERE o.state = 'live' AND o.suspect_since < clock_timestamp() - grace
     ORDER BY o.suspect_since LIMIT most FOR UPDATE OF o SKIP LOCKED),
  uploads AS (
    SELECT o.tenant_id, o.id FROM pack o
     WHERE o.state = 'uploading' AND o.state_at < clock_timestamp() - grace
       AND NOT EXISTS (SELECT FROM attempt a WHERE a.id = o.attempt_id AND a.state = 'running')
     ORDER BY o.state_at LIMIT most FOR UPDATE OF o SKIP LOCKED)
  SELECT array_agg(h.tenant_id), array_agg(h.id) INTO tenants, ids FROM (TABLE suspects UNION ALL TABLE uploads) h;
  IF tenants IS NULL THEN RETURN; END IF;
  RETURN QUERY
  WITH pinned AS MATERIALIZED (SELECT DISTINCT * FROM dd_pinned_v1()),
  judged AS MATERIALIZED (
    SELECT h.t, h.i, k.state AS was, CASE WHEN dd_named_by_v1(h.t, h.i) IS NOT NULL THEN 'named'
                  WHEN EXISTS (SELECT FROM pinned p WHERE p.tenant_id = h.t AND p.id = h.i) THEN 'pinned'
                  ELSE 'condemned' END AS fate
      FROM unnest(tenants, ids) AS h (t, i) JOIN pack k ON k.tenant_id = h.t AND k.id = h.i)
  UPDATE pack o
     SET state = CASE g.fate WHEN 'condemned' THEN 'condemned' ELSE 'live' END, state_at = clock_timestamp(),
         -- Who is only pinned is looked at again.
         suspect_since = CASE g.fate WHEN 'pinned' THEN clock_timestamp() END
    FROM judged g WHERE o.tenant_id = g.t AND o.id = g.i
  RETURNING o.kind, o.bytes, g.was, g.fate;
END $$;

-- One batch of what was condemned `age` ago, to be deleted by the caller; what is needed after all lives again. Also takes over what
-- another one set out to delete `settle` ago and did not report: longer than any request to object storage can be under way.
-- Answers each with its state now, deleted | live, and the token that forgetting it takes. Locks: objects, waiting for none.
CREATE FUNCTION dd_doom_v1(age interval, settle interval, most int)
RETURNS TABLE (tenant_id uuid, id bytea, kind text, bytes bigint, state text, token timestamptz) LANGUAGE plpgsql AS $$
DECLARE tenants uuid[]; ids bytea[];
BEGIN
  WITH condemned AS (
    SELECT o.tenant_id, o.id FROM pack o WHERE o.state = 'condemned' AND o.state_at < clock_timestamp() - age
     ORDER BY o.state_at LIMIT most FOR UPDATE OF o SKIP LOCKED),
  unreported AS (
    SELECT o.tenant_id, o.id FROM pack o WHERE o.state = 'deleted' AND o.state_at < clock_timestamp() - settle
     ORDER BY o.state_at LIMIT most FOR UPDATE OF o SKIP LOCKED)
  SELECT array_agg(h.tenant_id), array_agg(h.id) INTO tenants, ids FROM (TABLE condemned UNION ALL TABLE unreported) h;
  IF tenants IS NULL THEN RETURN; END IF;
  RETURN QUERY
  WITH pinned AS MATERIALIZED (SELECT DISTINCT * FROM dd_pinned_v1()),
  judged AS MATERIALIZED (
    SELECT h.t, h.i, k.state = 'condemned' AND (dd_named_by_v1(h.t, h.i) IS NOT NULL
                       OR EXISTS (SELECT FROM pinned p WHERE p.tenant_id = h.t AND p.id = h.i)) AS needed
      FROM unnest(tenants, ids) AS h (t, i) JOIN pack k ON k.tenant_id = h.t AND k.id = h.i)
  UPDATE pack o
     SET state = CASE WHEN g.needed THEN 'live' ELSE 'deleted' END, state_at = clock_timestamp(),
         suspect_since = CASE WHEN g.needed THEN clock_timestamp() END, revivals = o.revivals + g.needed::int
    FROM judged g WHERE o.tenant_id = g.t AND o.id = g.i
  RETURNING o.tenant_id, o.id, o.kind, o.bytes, o.state, o.state_at;
END $$;

-- The bytes of an object are gone, and no request of whoever holds this token is under way any more: so goes its row. False where
-- another one has taken it over.
CREATE FUNCTION dd_forget_v1(t uuid, i bytea, token timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM pack WHERE tenant_id = t AND id = i AND state = 'deleted' AND state_at = token;
  RETURN FOUND;
END $$;

-- An object in the bucket that has no row gets one, to be deleted like any other; NULL where it has one by now, or something names it.
CREATE FUNCTION dd_adopt_v1(t uuid, k text, i bytea, size bigint) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE token timestamptz;
BEGIN
  INSERT INTO pack (tenant_id, id, kind, bytes, state, state_at) SELECT t, i, k, size, 'deleted', clock_timestamp()
   WHERE dd_named_by_v1(t, i) IS NULL AND NOT EXISTS (SELECT FROM dd_pinned_v1() p WHERE p.tenant_id = t AND p.id = i)
  ON CONFLICT DO NOTHING RETURNING state_at INTO token;
  RETURN token;
END $$;
