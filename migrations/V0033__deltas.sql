-- A version may be stored as a delta of a manifest, in its own row (at most 64 KiB, compressed already). Claims tell it, and the tree's id,
-- by which a node knows whether it has the tree; finishes take it (V0037).
ALTER TABLE version ALTER delta SET STORAGE EXTERNAL;
ALTER TABLE attempt ADD delta bytea;
ALTER TABLE attempt ALTER delta SET STORAGE EXTERNAL;

-- Claim the job a ticket names. The attempt id is chosen before the call and is the fencing token: after a lost reply the
-- same call answers the same. Outcomes: claimed | stale (duplicate, old, cancelled: acknowledge and forget) | refused (this
-- worker is over or draining) | unsuited (not this pool, agent, isolation or label here).
-- Locks: job, worker. FOR SHARE, so that a worker is not ended between the check and the claim.
CREATE FUNCTION dd_claim_v3(jid uuid, seq int, a uuid, w uuid, path text)
RETURNS TABLE (outcome text, attempt_number smallint, base int, base_tree bytea, base_manifest bytea, base_delta bytea, at timestamptz, spec jsonb)
LANGUAGE plpgsql AS $$
DECLARE wk worker; j job; head int; began timestamptz;
BEGIN
  SELECT * INTO j FROM job WHERE id = jid AND state = 'dispatched' AND dispatch_seq = seq AND cancel_at IS NULL FOR UPDATE;
  IF FOUND THEN
    SELECT * INTO wk FROM worker WHERE id = w AND ended_at IS NULL AND NOT draining AND lease_until > clock_timestamp() FOR SHARE;
    IF NOT FOUND THEN outcome := 'refused'; RETURN NEXT; RETURN; END IF;
    IF NOT dd_suits_v1(wk, j) THEN outcome := 'unsuited'; RETURN NEXT; RETURN; END IF;
    SELECT head_version INTO STRICT head FROM project WHERE id = j.project_id;
    began := clock_timestamp();
    INSERT INTO attempt (id, job_id, number, worker_id, base_version, workspace_path, isolation, phase, started_at)
    VALUES (a, jid, j.attempts + 1, w, head, path, wk.isolation, 'materializing', began);
    UPDATE job SET state = 'running', attempts = attempts + 1, current_attempt = a, redispatches = 0, started_at = coalesce(started_at, began)
     WHERE id = jid RETURNING * INTO j;
    PERFORM dd_status_event_v2(j, 'materializing');
  ELSIF NOT EXISTS (SELECT 1 FROM attempt t WHERE t.id = a AND t.job_id = jid AND t.worker_id = w AND t.state = 'running') THEN
    outcome := 'stale'; RETURN NEXT; RETURN;
  END IF;
  RETURN QUERY
  SELECT 'claimed', t.number, t.base_version, v.tree_id, v.manifest_id, v.delta, t.started_at,
         jsonb_build_object('tenant_id', b.tenant_id, 'project_id', b.project_id, 'job_type', b.job_type, 'instruction', b.instruction,
           'argv', b.argv, 'agent', b.agent, 'labels', b.labels, 'timeout_s', b.timeout_s, 'silence_timeout_s', b.silence_timeout_s,
           'read_only', b.read_only, 'keep_on_error', b.keep_on_error)
    FROM attempt t JOIN job b ON b.id = t.job_id
    LEFT JOIN version v ON v.project_id = b.project_id AND v.number = t.base_version
   WHERE t.id = a;
END $$;

-- As dd_claim_group_v1, with that claim.
-- Locks: jobs, worker.
CREATE FUNCTION dd_claim_group_v2(jobs uuid[], seqs int[], attempts uuid[], w uuid, paths text[])
RETURNS TABLE (place int, outcome text, attempt_number smallint, base int, base_tree bytea, base_manifest bytea, base_delta bytea, at timestamptz, spec jsonb)
LANGUAGE plpgsql AS $$
DECLARE held uuid[]; others uuid[]; impatient text := set_config('lock_timeout', '1s', true);
BEGIN
  held := ARRAY(SELECT j.id FROM job j WHERE j.id = ANY (jobs) AND j.state = 'dispatched' FOR UPDATE SKIP LOCKED);
  -- A ticket whose job is not dispatched is old, and needs no lock to be told so.
  others := ARRAY(SELECT j.id FROM job j WHERE j.id = ANY (jobs) AND j.state = 'dispatched' AND NOT j.id = ANY (held));
  RETURN QUERY
  SELECT a.n::int, c.* FROM unnest(jobs, seqs, attempts, paths) WITH ORDINALITY AS a (job, seq, attempt, path, n)
   CROSS JOIN LATERAL dd_claim_v3(a.job, a.seq, a.attempt, w, a.path) c WHERE NOT a.job = ANY (others)
  UNION ALL
  SELECT a.n::int, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM unnest(jobs) WITH ORDINALITY AS a (job, n) WHERE a.job = ANY (others);
END $$;
