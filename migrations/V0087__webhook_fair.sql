-- Sending that holds nobody up, and outcomes that count against what was sent to.

-- When a message last failed to arrive. NULL: none has since this column is here.
ALTER TABLE webhook ADD COLUMN failed_at timestamptz;
-- The secret before the old one signs as long as that one does: of a rotation whose answer got lost nobody knows the secret.
ALTER TABLE webhook ADD COLUMN older_secret bytea;

-- As dd_webhook_claim_v1, with these differences. At most `all_of` messages of one tenant are under way, counted once at the start: of
-- callers at the same time each may add as many as it takes. Which of its webhooks gets a place that frees is by chance, or the first would
-- take them all. A webhook that is paused or disabled is not locked. `revision` is the one that the message is sent under.
-- Locks: webhook, deliveries (of which it waits for none).
CREATE FUNCTION dd_webhook_claim_v2(hooks uuid[], who uuid, most int, each int, all_of int, lease interval)
RETURNS TABLE (delivery uuid, webhook uuid, tenant uuid, url text, secret bytea, old_secrets bytea[], event text, job uuid, batch uuid,
               data jsonb, step smallint, happened_at timestamptz, revision int) LANGUAGE plpgsql AS $$
DECLARE h uuid; w webhook; chosen uuid[]; n int; room int := most; began timestamptz := clock_timestamp(); busy jsonb; theirs int;
BEGIN
  -- As many rows as are under way anywhere.
  busy := (SELECT coalesce(jsonb_object_agg(b.tenant_id, b.n), '{}') FROM (
    SELECT o.tenant_id, count(*) AS n FROM webhook_delivery d JOIN webhook o ON o.id = d.webhook_id
     WHERE d.claim IS NOT NULL AND d.due_at > began GROUP BY 1) b);
  FOREACH h IN ARRAY ARRAY(SELECT x FROM unnest(hooks) x ORDER BY random()) LOOP
    EXIT WHEN room <= 0;
    SELECT * INTO w FROM webhook o WHERE o.id = h AND NOT o.paused AND o.disabled_at IS NULL FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      IF NOT EXISTS (SELECT FROM webhook o WHERE o.id = h) THEN
        DELETE FROM webhook_delivery d WHERE d.id = ANY (ARRAY(
          SELECT o.id FROM webhook_delivery o WHERE o.webhook_id = h AND o.state = 'pending' LIMIT 1000 FOR UPDATE SKIP LOCKED));
      END IF;
      CONTINUE;
    END IF;
    theirs := coalesce((busy ->> w.tenant_id::text)::int, 0);
    n := (SELECT count(*) FROM webhook_delivery d WHERE d.webhook_id = h AND d.claim IS NOT NULL AND d.due_at > began);
    n := least(room, all_of - theirs, CASE WHEN w.failing_since IS NULL THEN each ELSE 1 END - n);
    CONTINUE WHEN n <= 0;
    -- An array: a join with as many as a limit allows would be planned for a tenth of the table.
    chosen := ARRAY(SELECT d.id FROM webhook_delivery d WHERE d.webhook_id = h AND d.state = 'pending' AND d.due_at <= began
                     ORDER BY d.due_at LIMIT n FOR UPDATE SKIP LOCKED);
    RETURN QUERY
    WITH taken AS (
      UPDATE webhook_delivery d SET claim = who, due_at = clock_timestamp() + lease WHERE d.id = ANY (chosen) RETURNING d.*)
    SELECT k.id, k.webhook_id, w.tenant_id, w.url, w.secret, CASE WHEN w.old_secret_until > began THEN array_remove(ARRAY[w.old_secret, w.older_secret], NULL) ELSE '{}' END,
           k.event, k.job_id, k.batch_id, k.data, k.step, k.created_at, w.revision FROM taken k;
    GET DIAGNOSTICS n = ROW_COUNT;
    room := room - n;
    busy := jsonb_set(busy, ARRAY[w.tenant_id::text], to_jsonb(theirs + n));
  END LOOP;
END $$;

-- As dd_webhook_record_v1, with these differences. What was sent under another revision than `rev` says nothing of the webhook as it is
-- now. And a webhook has failed for `patience` only where it kept failing: after `calm` without a failure, which is longer than any pause
-- between two tries, the time begins anew.
-- Locks: delivery, webhook.
CREATE FUNCTION dd_webhook_record_v2(d uuid, who uuid, rev int, arrived boolean, code int, kind text, ms int, again interval, gone boolean,
                                     ours boolean, patience interval, calm interval)
RETURNS TABLE (outcome text, disabled text) LANGUAGE plpgsql AS $$
DECLARE hook uuid; since timestamptz; began timestamptz := clock_timestamp();
BEGIN
  outcome := CASE WHEN arrived THEN 'delivered' WHEN again IS NULL THEN 'failed' ELSE 'retrying' END;
  UPDATE webhook_delivery o
     SET claim = NULL, attempts = o.attempts + (NOT ours)::int, last_at = began, last_status = code, last_error = kind, last_ms = ms,
         state = CASE outcome WHEN 'retrying' THEN 'pending' ELSE outcome END,
         step = o.step + (outcome = 'retrying' AND NOT ours)::int,
         due_at = began + coalesce(again, '0'), ended_at = CASE WHEN outcome <> 'retrying' THEN began END
   WHERE o.id = d AND o.claim = who RETURNING o.webhook_id INTO hook;
  IF hook IS NULL THEN
    outcome := 'lost';
  ELSIF arrived THEN
    UPDATE webhook w SET failing_since = NULL WHERE w.id = hook AND w.revision = rev AND w.failing_since IS NOT NULL;
  ELSIF NOT ours THEN
    SELECT CASE WHEN w.failed_at >= began - calm THEN w.failing_since END INTO since
      FROM webhook w WHERE w.id = hook AND w.revision = rev AND w.disabled_at IS NULL FOR NO KEY UPDATE;
    IF FOUND THEN
      disabled := CASE WHEN gone THEN 'gone' WHEN since < began - patience THEN 'failing' END;
      UPDATE webhook w
         SET failing_since = coalesce(since, began), failed_at = began, disabled_reason = disabled,
             disabled_at = CASE WHEN disabled IS NOT NULL THEN began END
       WHERE w.id = hook;
    END IF;
  END IF;
  RETURN NEXT;
END $$;

-- As dd_change_files_v1, but no job is claimed meanwhile: the claim reads the head without a lock of the project, so a version made beside
-- it would cost the job its run.
-- Locks: project, jobs that write and are next, objects that the base has not.
CREATE FUNCTION dd_change_files_v2(t uuid, p uuid, base int, tree jsonb, by uuid, beside boolean)
RETURNS TABLE (outcome text, head int, writer uuid) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM project q WHERE q.id = p AND q.tenant_id = t AND q.deleted_at IS NULL FOR NO KEY UPDATE;
  IF FOUND AND NOT beside THEN
    PERFORM 1 FROM job j WHERE j.project_id = p AND j.state IN ('queued', 'dispatched', 'running') AND NOT j.read_only FOR NO KEY UPDATE;
  END IF;
  RETURN QUERY SELECT * FROM dd_change_files_v1(t, p, base, tree, by, beside);
END $$;
