-- Workers from before deltas ask this for jobs, and know a version by its manifest alone. Of one that is stored as a delta they would
-- make another workspace, and publish it: such a job is not for them. It goes to the workers that know (dd_claim_v3). The one case in which
-- a function is replaced: so that those who still call it do no harm.
CREATE OR REPLACE FUNCTION dd_claim_v2(jid uuid, seq int, a uuid, w uuid, path text)
RETURNS TABLE (outcome text, attempt_number smallint, base int, base_manifest bytea, at timestamptz, spec jsonb)
LANGUAGE plpgsql AS $$
DECLARE wk worker; j job; head int; began timestamptz;
BEGIN
  SELECT * INTO j FROM job WHERE id = jid AND state = 'dispatched' AND dispatch_seq = seq AND cancel_at IS NULL FOR UPDATE;
  IF FOUND THEN
    SELECT * INTO wk FROM worker WHERE id = w AND ended_at IS NULL AND NOT draining AND lease_until > clock_timestamp() FOR SHARE;
    IF NOT FOUND THEN outcome := 'refused'; RETURN NEXT; RETURN; END IF;
    IF NOT dd_suits_v1(wk, j) THEN outcome := 'unsuited'; RETURN NEXT; RETURN; END IF;
    SELECT head_version INTO STRICT head FROM project WHERE id = j.project_id;
    IF EXISTS (SELECT 1 FROM version x WHERE x.project_id = j.project_id AND x.number = head AND x.delta IS NOT NULL) THEN
      outcome := 'unsuited'; RETURN NEXT; RETURN;
    END IF;
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
  SELECT 'claimed', t.number, t.base_version, v.manifest_id, t.started_at,
         jsonb_build_object('tenant_id', b.tenant_id, 'project_id', b.project_id, 'job_type', b.job_type, 'instruction', b.instruction,
           'argv', b.argv, 'agent', b.agent, 'labels', b.labels, 'timeout_s', b.timeout_s, 'silence_timeout_s', b.silence_timeout_s,
           'read_only', b.read_only, 'keep_on_error', b.keep_on_error)
    FROM attempt t JOIN job b ON b.id = t.job_id
    LEFT JOIN version v ON v.project_id = b.project_id AND v.number = t.base_version
   WHERE t.id = a;
END $$;
