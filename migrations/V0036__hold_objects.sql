-- Whoever makes a row name objects calls this first, in the same transaction: it keeps the collector from them until the commit, and
-- brings those back that were condemned. False: one is gone, or never had a row; then nothing may name any of them.
-- The collector locks FOR UPDATE, which conflicts with FOR KEY SHARE; a plain UPDATE does not. What a running attempt's base version
-- needs is needed anyway and has not to be held.
-- Locks: objects in id order; after project, job and attempt.
CREATE FUNCTION dd_hold_objects_v1(t uuid, ids bytea[]) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM pack WHERE tenant_id = t AND id = ANY (ids) ORDER BY id FOR KEY SHARE;
  -- Read again in a statement of its own: the one that waited may have begun before the collector ended.
  IF EXISTS (SELECT FROM unnest(ids) i LEFT JOIN pack k ON k.tenant_id = t AND k.id = i WHERE k.id IS NULL OR k.state = 'deleted') THEN
    RETURN false;
  END IF;
  PERFORM 1 FROM pack WHERE tenant_id = t AND id = ANY (ids) AND state <> 'live' ORDER BY id FOR NO KEY UPDATE;
  IF FOUND THEN
    UPDATE pack SET state = 'live', state_at = clock_timestamp(), suspect_since = NULL, revivals = revivals + (state = 'condemned')::int
     WHERE tenant_id = t AND id = ANY (ids) AND state <> 'live';
  END IF;
  RETURN true;
END $$;

-- Something that named these objects does so no more: the collector is to look at them.
-- Locks: objects in id order.
CREATE FUNCTION dd_suspect_v1(t uuid, ids bytea[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM pack WHERE tenant_id = t AND id = ANY (ids) ORDER BY id FOR NO KEY UPDATE;
  UPDATE pack SET suspect_since = clock_timestamp() WHERE tenant_id = t AND id = ANY (ids) AND state = 'live' AND suspect_since IS NULL;
END $$;

-- An object is about to be uploaded. Answers: ok | deleting (its bytes are being deleted: ask again in a moment).
-- `a` is the attempt that uploads it, NULL for the API. Repeating it, and announcing what is stored already, is harmless.
CREATE FUNCTION dd_announce_v1(t uuid, k text, i bytea, size bigint, a uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE s text;
BEGIN
  INSERT INTO pack AS o (tenant_id, id, kind, bytes, attempt_id, state_at) VALUES (t, i, k, size, a, clock_timestamp())
  ON CONFLICT (tenant_id, id) DO UPDATE
     SET state = CASE o.state WHEN 'condemned' THEN 'uploading' ELSE o.state END,
         state_at = CASE WHEN o.state IN ('uploading', 'condemned') THEN clock_timestamp() ELSE o.state_at END,
         attempt_id = CASE WHEN o.state IN ('uploading', 'condemned') THEN a ELSE o.attempt_id END,
         revivals = o.revivals + (o.state = 'condemned')::int,
         bytes = size
  RETURNING o.state INTO s;
  RETURN CASE s WHEN 'deleted' THEN 'deleting' ELSE 'ok' END;
END $$;
