-- Tokens that agents report, from the finish to usage; and uploads by hand within their tenant's quota of stored bytes.

ALTER TABLE usage_day
  ADD input_tokens bigint NOT NULL DEFAULT 0, ADD cached_input_tokens bigint NOT NULL DEFAULT 0, ADD output_tokens bigint NOT NULL DEFAULT 0;

-- As the fourth version, with what the attempt used of its model: `tokens` of the report, {input_tokens, cached_input_tokens, output_tokens} or absent.
-- Finish an attempt: fence, version compare-and-swap, attempt, the rest of its log, job, lane hand-over, all in one transaction.
-- `tree` is {tree_id, manifest_id (hex), delta? (base64), packs: [{id (hex), bytes}], file_count, total_bytes} or NULL where nothing changed.
-- `tail` is what of the log was not written yet (NULL: nothing), at `tail_seq` and `tail_offset`; `said` the progress not yet told (an
-- array of texts).
-- Answers: ok | already (an earlier call of mine landed) | fenced (not mine any more: drop everything) | conflict (the head
-- moved; the job runs again on the new head) | gone (objects of the tree were collected before anything named them: nothing is
-- published, the attempt ends as an infrastructure fault, and the job runs again; asked once more, it answers fenced).
-- Locks: project, job, attempt, objects that the base has not.
CREATE FUNCTION dd_finish_v5(jid uuid, a uuid, kind text, report jsonb, tree jsonb, tail_seq int, tail_offset bigint, tail bytea, said jsonb)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  j job; t attempt; head int; ended attempt_state := kind::attempt_state;
  publish boolean; made int; packs bytea[]; gone boolean := false;
BEGIN
  SELECT p.head_version INTO head FROM project p JOIN job b ON b.project_id = p.id WHERE b.id = jid FOR NO KEY UPDATE OF p;
  SELECT * INTO j FROM job WHERE id = jid FOR UPDATE;
  SELECT * INTO t FROM attempt WHERE id = a AND job_id = jid FOR UPDATE;
  IF t.state <> 'running' AND t.state IN (ended, 'conflict', 'canceled') AND j.current_attempt IS DISTINCT FROM a THEN
    RETURN 'already';
  END IF;
  IF j.state IS DISTINCT FROM 'running' OR j.current_attempt IS DISTINCT FROM a THEN RETURN 'fenced'; END IF;
  -- A cancel recorded before this moment wins: its files stay unpublished.
  IF j.cancel_at IS NOT NULL THEN ended := 'canceled'; END IF;
  IF tree IS NOT NULL THEN
    packs := ARRAY(SELECT decode(k ->> 'id', 'hex') FROM jsonb_array_elements(tree -> 'packs') k);
    IF NOT dd_hold_objects_v1(j.tenant_id, ARRAY(
         SELECT unnest(packs || decode(tree ->> 'manifest_id', 'hex'))
         EXCEPT SELECT unnest(v.pack_ids || v.manifest_id) FROM version v WHERE v.project_id = j.project_id AND v.number = t.base_version)) THEN
      tree := NULL;
      IF ended <> 'canceled' THEN
        gone := true;
        ended := 'infra';
        report := report || '{"detail": "stored files of its result were collected before it was told; it is done again"}';
      END IF;
    END IF;
  END IF;
  -- A failure that is tried again publishes nothing: at most one attempt of a job does.
  publish := tree IS NOT NULL AND NOT j.read_only
    AND (ended = 'succeeded' OR (ended IN ('failed', 'timeout') AND j.keep_on_error AND j.failures >= j.retries));
  IF publish AND head <> t.base_version THEN ended := 'conflict'; publish := false; END IF;
  IF publish THEN
    made := head + 1;
    INSERT INTO version (project_id, number, parent, tree_id, manifest_id, delta, pack_ids, file_count, total_bytes, author_kind, author_id, attempt_id)
    VALUES (j.project_id, made, head, decode(tree ->> 'tree_id', 'hex'), decode(tree ->> 'manifest_id', 'hex'),
            decode(tree ->> 'delta', 'base64'), packs,
            (tree ->> 'file_count')::int, (tree ->> 'total_bytes')::bigint, 'job', jid, a);
    UPDATE project SET head_version = made WHERE id = j.project_id;
  END IF;
  IF length(tail) > 0 THEN
    INSERT INTO log_chunk (attempt_id, seq, byte_offset, length, data) VALUES (a, tail_seq, tail_offset, length(tail), tail) ON CONFLICT DO NOTHING;
  END IF;
  INSERT INTO event (tenant_id, project_id, job_id, kind, data)
  SELECT j.tenant_id, j.project_id, j.id, 'progress', jsonb_build_object('message', m.message, 'attempt', t.number)
    FROM jsonb_array_elements_text(said) WITH ORDINALITY AS m (message, n) ORDER BY m.n;
  UPDATE attempt SET state = ended, finished_at = clock_timestamp(), detail = report ->> 'detail',
         request = report -> 'request', result = report -> 'result',
         materialize_s = (report ->> 'materialize_s')::real, run_s = (report ->> 'run_s')::real, push_s = (report ->> 'push_s')::real,
         agent_started_at = started_at + make_interval(secs => (report ->> 'agent_start_s')::float8),
         tree_id = CASE WHEN NOT publish THEN decode(tree ->> 'tree_id', 'hex') END,
         manifest_id = CASE WHEN NOT publish THEN decode(tree ->> 'manifest_id', 'hex') END,
         delta = CASE WHEN NOT publish THEN decode(tree ->> 'delta', 'base64') END,
         pack_ids = CASE WHEN NOT publish AND tree IS NOT NULL THEN packs END,
         log_bytes = coalesce((report ->> 'log_bytes')::bigint, 0),
         input_tokens = (report -> 'tokens' ->> 'input_tokens')::bigint, cached_input_tokens = (report -> 'tokens' ->> 'cached_input_tokens')::bigint,
         output_tokens = (report -> 'tokens' ->> 'output_tokens')::bigint
   WHERE id = a;
  SELECT report ->> 'summary', report ->> 'output', made, report ->> 'preview_url',
         ARRAY(SELECT jsonb_array_elements_text(report -> 'created_files')),
         ARRAY(SELECT jsonb_array_elements_text(report -> 'modified_files')),
         ARRAY(SELECT jsonb_array_elements_text(report -> 'deleted_files')),
         ARRAY(SELECT jsonb_array_elements_text(report -> 'errors'))
    INTO j.summary, j.output, j.version, j.preview_url, j.created_files, j.modified_files, j.deleted_files, j.errors;
  PERFORM dd_end_attempt_v2(j, ended, report ->> 'detail');
  IF gone THEN RETURN 'gone'; END IF;
  RETURN CASE ended WHEN 'conflict' THEN 'conflict' ELSE 'ok' END;
END $$;

-- As the second version, with that finish.
-- Finishes with a tree go alone: packs of two trees may be the same, and are not locked in one order.
-- Locks: projects, jobs, attempts (in id order, as a renewal does), edges; at the end rows of tenants' tallies that nobody else holds.
CREATE FUNCTION dd_finish_group_v3(jobs uuid[], attempts uuid[], kinds text[], reports jsonb[], trees jsonb[], tail_seqs int[],
  tail_offsets bigint[], tails bytea[], said jsonb[])
RETURNS TABLE (place int, answer text) LANGUAGE plpgsql AS $$
DECLARE projects uuid[]; held uuid[]; impatient text := set_config('lock_timeout', '1s', true);
BEGIN
  projects := ARRAY(SELECT p.id FROM project p WHERE p.id IN (SELECT j.project_id FROM job j WHERE j.id = ANY (jobs))
                       FOR NO KEY UPDATE SKIP LOCKED);
  held := ARRAY(SELECT j.id FROM job j WHERE j.id = ANY (jobs) AND j.project_id = ANY (projects) FOR UPDATE SKIP LOCKED);
  IF cardinality(held) > 1 THEN
    PERFORM 1 FROM attempt t WHERE t.id = ANY (attempts) AND t.job_id = ANY (held) ORDER BY t.id FOR UPDATE;
    PERFORM dd_hold_edges_v1(held);
  END IF;
  RETURN QUERY
  SELECT a.n::int, CASE WHEN a.job = ANY (held) THEN
           dd_finish_v5(a.job, a.attempt, a.kind, a.report, a.tree, a.tail_seq, a.tail_offset, a.tail, a.said) END
    FROM unnest(jobs, attempts, kinds, reports, trees, tail_seqs, tail_offsets, tails, said)
         WITH ORDINALITY AS a (job, attempt, kind, report, tree, tail_seq, tail_offset, tail, said, n);
END $$;

-- As the first version, with tokens.
CREATE FUNCTION dd_count_usage_v2(most int) RETURNS TABLE (events int, jobs int) LANGUAGE plpgsql AS $$
DECLARE here usage_cursor; restored boolean; top xid8; last_xid xid8; last_id bigint; newest bigint;
BEGIN
  SELECT * INTO here FROM usage_cursor FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN; END IF;
  restored := here.xid >= pg_snapshot_xmax(pg_current_snapshot());
  top := CASE WHEN restored THEN '18446744073709551615'::xid8 ELSE pg_snapshot_xmin(pg_current_snapshot()) END;
  -- All below `top` is settled: the statements that follow see the same.
  SELECT count(*), max(e.id), (array_agg(e.xid ORDER BY e.xid DESC, e.id DESC))[1], (array_agg(e.id ORDER BY e.xid DESC, e.id DESC))[1]
    INTO events, newest, last_xid, last_id
    FROM (SELECT v.xid, v.id FROM event v WHERE (v.xid, v.id) > (here.xid, here.event_id) AND v.xid < top ORDER BY v.xid, v.id LIMIT most) e;
  newest := greatest(here.greatest_id, newest);
  jobs := 0;
  IF events > 0 THEN
    WITH ended AS MATERIALIZED (
      SELECT e.tenant_id, e.project_id, e.job_id, e.data ->> 'status' AS status, e.at
        FROM event e
       WHERE (e.xid, e.id) > (here.xid, here.event_id) AND (e.xid, e.id) <= (last_xid, last_id) AND e.id > here.floor_id
         AND e.kind = 'status' AND e.data ->> 'status' IN ('completed', 'error', 'cancelled')),
    spent AS (
      SELECT d.*, w.attempts, w.slot_ms, w.log_bytes, w.stored_bytes, w.input_tokens, w.cached_input_tokens, w.output_tokens
        FROM ended d CROSS JOIN LATERAL (
          SELECT count(*) AS attempts,
                 coalesce(sum(round(1000 * extract(epoch FROM coalesce(a.finished_at, d.at) - a.started_at))), 0) AS slot_ms,
                 coalesce(sum(a.log_bytes), 0) AS log_bytes,
                 coalesce(sum(a.input_tokens), 0) AS input_tokens, coalesce(sum(a.cached_input_tokens), 0) AS cached_input_tokens,
                 coalesce(sum(a.output_tokens), 0) AS output_tokens,
                 coalesce(sum((SELECT sum(k.bytes) FROM unnest(coalesce(v.pack_ids || v.manifest_id, a.pack_ids || a.manifest_id)) AS o (id)
                                 JOIN pack k ON k.tenant_id = d.tenant_id AND k.id = o.id AND k.attempt_id = a.id)), 0) AS stored_bytes
            FROM attempt a LEFT JOIN version v ON v.attempt_id = a.id WHERE a.job_id = d.job_id) w),
    kept AS (
      INSERT INTO usage_day AS u (tenant_id, day, project_id, completed, error, cancelled, attempts, slot_ms, log_bytes, stored_bytes,
                                  input_tokens, cached_input_tokens, output_tokens)
      SELECT s.tenant_id, (s.at AT TIME ZONE 'UTC')::date, s.project_id, count(*) FILTER (WHERE s.status = 'completed'),
             count(*) FILTER (WHERE s.status = 'error'), count(*) FILTER (WHERE s.status = 'cancelled'),
             sum(s.attempts), sum(s.slot_ms), sum(s.log_bytes), sum(s.stored_bytes),
             sum(s.input_tokens), sum(s.cached_input_tokens), sum(s.output_tokens)
        FROM spent s GROUP BY 1, 2, 3
      ON CONFLICT (tenant_id, day, project_id) DO UPDATE
        SET completed = u.completed + excluded.completed, error = u.error + excluded.error, cancelled = u.cancelled + excluded.cancelled,
            attempts = u.attempts + excluded.attempts, slot_ms = u.slot_ms + excluded.slot_ms,
            log_bytes = u.log_bytes + excluded.log_bytes, stored_bytes = u.stored_bytes + excluded.stored_bytes,
            input_tokens = u.input_tokens + excluded.input_tokens,
            cached_input_tokens = u.cached_input_tokens + excluded.cached_input_tokens, output_tokens = u.output_tokens + excluded.output_tokens)
    SELECT count(*) INTO jobs FROM ended;
    UPDATE usage_cursor SET xid = last_xid, event_id = last_id, greatest_id = newest;
  END IF;
  IF restored AND events < most THEN
    UPDATE usage_cursor SET xid = '0', event_id = 0, floor_id = newest;
    -- There is more to read.
    events := most;
  END IF;
  RETURN NEXT;
END $$;

-- An object is about to be uploaded. As the first version, within the tenant's quota of stored bytes for what comes by hand: an object that
-- is new, comes from no attempt and goes beyond it is refused with SQLSTATE DD429, as a project beyond its quota is; nothing is kept of it.
-- What attempts upload is never refused: a job that runs keeps its result.
CREATE FUNCTION dd_announce_v2(t uuid, k text, i bytea, size bigint, a uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE known boolean; answer text; has bigint; most bigint;
BEGIN
  IF a IS NOT NULL THEN RETURN dd_announce_v1(t, k, i, size, a); END IF;
  SELECT q.max_storage_bytes INTO most FROM tenant q WHERE q.id = t;
  known := most IS NULL OR EXISTS (SELECT FROM pack o WHERE o.tenant_id = t AND o.id = i AND o.state <> 'deleted');
  answer := dd_announce_v1(t, k, i, size, a);
  IF known THEN RETURN answer; END IF;
  SELECT h.stored INTO has FROM dd_tenant_has_v1(t) h;
  IF has > most THEN
    RAISE EXCEPTION 'tenant % has its % bytes', t, most
      USING ERRCODE = 'DD429', DETAIL = format('stored bytes: %s of %s are used, and %s more were to come', has - size, most, size);
  END IF;
  RETURN answer;
END $$;
