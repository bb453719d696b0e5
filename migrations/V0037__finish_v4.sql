-- Finish an attempt: fence, version compare-and-swap, attempt, the rest of its log, job, lane hand-over, all in one transaction.
-- `tree` is {tree_id, manifest_id (hex), delta? (base64), packs: [{id (hex), bytes}], file_count, total_bytes} or NULL where nothing changed.
-- `tail` is what of the log was not written yet (NULL: nothing), at `tail_seq` and `tail_offset`; `said` the progress not yet told (an
-- array of texts).
-- Answers: ok | already (an earlier call of mine landed) | fenced (not mine any more: drop everything) | conflict (the head
-- moved; the job runs again on the new head) | gone (objects of the tree were collected before anything named them: nothing is
-- published, the attempt ends as an infrastructure fault, and the job runs again; asked once more, it answers fenced).
-- Locks: project, job, attempt, objects that the base has not.
CREATE FUNCTION dd_finish_v4(jid uuid, a uuid, kind text, report jsonb, tree jsonb, tail_seq int, tail_offset bigint, tail bytea, said jsonb)
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
         log_bytes = coalesce((report ->> 'log_bytes')::bigint, 0)
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

-- As the first version, with that finish.
-- Finishes with a tree go alone: packs of two trees may be the same, and are not locked in one order.
-- Locks: projects, jobs, attempts (in id order, as a renewal does), edges.
CREATE FUNCTION dd_finish_group_v2(jobs uuid[], attempts uuid[], kinds text[], reports jsonb[], trees jsonb[], tail_seqs int[],
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
           dd_finish_v4(a.job, a.attempt, a.kind, a.report, a.tree, a.tail_seq, a.tail_offset, a.tail, a.said) END
    FROM unnest(jobs, attempts, kinds, reports, trees, tail_seqs, tail_offsets, tails, said)
         WITH ORDINALITY AS a (job, attempt, kind, report, tree, tail_seq, tail_offset, tail, said, n);
END $$;
