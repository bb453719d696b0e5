-- Sending: any number of dispatchers share the deliveries. Nothing here reads more than it takes, however many wait.

-- The next `most` webhooks after `after`, by id, that have deliveries pending, and whether one is due: one look into an index for each.
CREATE FUNCTION dd_webhooks_pending_v1(after uuid, most int) RETURNS TABLE (id uuid, due boolean) LANGUAGE sql STABLE AS $$
  WITH RECURSIVE found AS (
    (SELECT d.webhook_id AS hook, d.due_at AS first FROM webhook_delivery d
      WHERE d.state = 'pending' AND d.webhook_id > after ORDER BY d.webhook_id, d.due_at LIMIT 1)
    UNION ALL
    SELECT n.webhook_id, n.due_at FROM found f CROSS JOIN LATERAL (
      SELECT d.webhook_id, d.due_at FROM webhook_delivery d
       WHERE d.state = 'pending' AND d.webhook_id > f.hook ORDER BY d.webhook_id, d.due_at LIMIT 1) n)
  SELECT f.hook, f.first <= clock_timestamp() FROM found f LIMIT most $$;

-- Takes up to `most` due deliveries of `hooks`, for `lease`; of one webhook so many that `each` are under way, or one while it fails, so
-- that a receiver that is slow or away holds up no other. Who takes counts under the webhook's row; one that another has there is left
-- out, and comes again with the next look.
-- What a removed webhook has left is deleted by and by.
-- Locks: webhook, deliveries (of which it waits for none).
CREATE FUNCTION dd_webhook_claim_v1(hooks uuid[], who uuid, most int, each int, lease interval)
RETURNS TABLE (delivery uuid, webhook uuid, tenant uuid, url text, secret bytea, old_secret bytea, event text, job uuid, batch uuid,
               data jsonb, step smallint, happened_at timestamptz) LANGUAGE plpgsql AS $$
DECLARE h uuid; w webhook; chosen uuid[]; n int; room int := most; began timestamptz := clock_timestamp();
BEGIN
  FOREACH h IN ARRAY hooks LOOP
    EXIT WHEN room <= 0;
    SELECT * INTO w FROM webhook o WHERE o.id = h FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      IF NOT EXISTS (SELECT FROM webhook o WHERE o.id = h) THEN
        DELETE FROM webhook_delivery d WHERE d.id = ANY (ARRAY(
          SELECT o.id FROM webhook_delivery o WHERE o.webhook_id = h AND o.state = 'pending' LIMIT 1000 FOR UPDATE SKIP LOCKED));
      END IF;
      CONTINUE;
    END IF;
    CONTINUE WHEN w.paused OR w.disabled_at IS NOT NULL;
    n := (SELECT count(*) FROM webhook_delivery d WHERE d.webhook_id = h AND d.claim IS NOT NULL AND d.due_at > began);
    n := least(room, CASE WHEN w.failing_since IS NULL THEN each ELSE 1 END - n);
    CONTINUE WHEN n <= 0;
    -- An array: a join with as many as a limit allows would be planned for a tenth of the table.
    chosen := ARRAY(SELECT d.id FROM webhook_delivery d WHERE d.webhook_id = h AND d.state = 'pending' AND d.due_at <= began
                     ORDER BY d.due_at LIMIT n FOR UPDATE SKIP LOCKED);
    RETURN QUERY
    WITH taken AS (
      UPDATE webhook_delivery d SET claim = who, due_at = clock_timestamp() + lease WHERE d.id = ANY (chosen) RETURNING d.*)
    SELECT k.id, k.webhook_id, w.tenant_id, w.url, w.secret, CASE WHEN w.old_secret_until > began THEN w.old_secret END,
           k.event, k.job_id, k.batch_id, k.data, k.step, k.created_at FROM taken k;
    GET DIAGNOSTICS n = ROW_COUNT;
    room := room - n;
  END LOOP;
END $$;

-- What came of sending one. `code` and `kind` are the answer's status and what went wrong; `again` is the pause before the next try,
-- NULL: there is none. `gone`: the receiver wants no more. Where the fault is `ours` it counts neither as a try nor against the webhook.
-- A webhook that nothing has reached for `patience` is disabled. Answers delivered | retrying | failed | lost (somebody else has it),
-- and why the webhook was disabled by this.
-- Locks: delivery, webhook.
CREATE FUNCTION dd_webhook_record_v1(d uuid, who uuid, arrived boolean, code int, kind text, ms int, again interval, gone boolean,
                                     ours boolean, patience interval)
RETURNS TABLE (outcome text, disabled text) LANGUAGE plpgsql AS $$
DECLARE hook uuid; began timestamptz := clock_timestamp();
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
    UPDATE webhook w SET failing_since = NULL WHERE w.id = hook AND w.failing_since IS NOT NULL;
  ELSIF NOT ours THEN
    UPDATE webhook w
       SET failing_since = coalesce(w.failing_since, began),
           disabled_at = CASE WHEN gone OR w.failing_since < began - patience THEN began END,
           disabled_reason = CASE WHEN gone THEN 'gone' WHEN w.failing_since < began - patience THEN 'failing' END
     WHERE w.id = hook AND w.disabled_at IS NULL AND (gone OR w.failing_since IS NULL OR w.failing_since < began - patience)
    RETURNING w.disabled_reason INTO disabled;
  END IF;
  RETURN NEXT;
END $$;

-- Forgets up to `most` deliveries that ended longer than `keep` ago, or happened more than twice that ago whatever became of them: those
-- that a paused webhook never took. Returns how many.
CREATE FUNCTION dd_webhook_forget_v1(keep interval, most int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE n int; more int; began timestamptz := clock_timestamp();
BEGIN
  DELETE FROM webhook_delivery d WHERE d.id = ANY (ARRAY(
    SELECT o.id FROM webhook_delivery o WHERE o.ended_at < began - keep ORDER BY o.ended_at LIMIT most FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS n = ROW_COUNT;
  DELETE FROM webhook_delivery d WHERE d.id = ANY (ARRAY(
    SELECT o.id FROM webhook_delivery o WHERE o.created_at < began - 2 * greatest(keep, '7 days')
     ORDER BY o.created_at LIMIT most FOR UPDATE SKIP LOCKED));
  GET DIAGNOSTICS more = ROW_COUNT;
  RETURN n + more;
END $$;
