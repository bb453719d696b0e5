-- Claims and renewals that know sessions.

CREATE FUNCTION dd_sessions_of_v1(w uuid) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT count(*) FROM attempt t JOIN job b ON b.id = t.job_id WHERE t.worker_id = w AND t.state = 'running' AND b.job_type::text = 'session' $$;

-- As the third version. A session goes to a worker that has a place for one ('unsuited' elsewhere), and one that was ready to nobody
-- ('stale'): it is over.
-- Locks: job, worker. FOR SHARE, so that a worker is not ended between the check and the claim.
CREATE FUNCTION dd_claim_v4(jid uuid, seq int, a uuid, w uuid, path text)
RETURNS TABLE (outcome text, attempt_number smallint, base int, base_tree bytea, base_manifest bytea, base_delta bytea, at timestamptz, spec jsonb)
LANGUAGE plpgsql AS $$
DECLARE wk worker; j job; head int; began timestamptz;
BEGIN
  SELECT * INTO j FROM job WHERE id = jid AND state = 'dispatched' AND dispatch_seq = seq AND cancel_at IS NULL FOR UPDATE;
  IF FOUND THEN
    SELECT * INTO wk FROM worker WHERE id = w AND ended_at IS NULL AND NOT draining AND lease_until > clock_timestamp() FOR SHARE;
    IF NOT FOUND THEN outcome := 'refused'; RETURN NEXT; RETURN; END IF;
    IF NOT dd_suits_v1(wk, j) THEN outcome := 'unsuited'; RETURN NEXT; RETURN; END IF;
    IF j.job_type = 'session' THEN
      IF EXISTS (SELECT FROM session s WHERE s.job_id = jid AND s.ready_at IS NOT NULL) THEN outcome := 'stale'; RETURN NEXT; RETURN; END IF;
      IF wk.session_slots <= dd_sessions_of_v1(w) THEN outcome := 'unsuited'; RETURN NEXT; RETURN; END IF;
    END IF;
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

-- As dd_claim_group_v2, with that claim.
-- Locks: jobs, worker.
CREATE FUNCTION dd_claim_group_v3(jobs uuid[], seqs int[], attempts uuid[], w uuid, paths text[])
RETURNS TABLE (place int, outcome text, attempt_number smallint, base int, base_tree bytea, base_manifest bytea, base_delta bytea, at timestamptz, spec jsonb)
LANGUAGE plpgsql AS $$
DECLARE held uuid[]; others uuid[]; impatient text := set_config('lock_timeout', '1s', true);
BEGIN
  held := ARRAY(SELECT j.id FROM job j WHERE j.id = ANY (jobs) AND j.state = 'dispatched' FOR UPDATE SKIP LOCKED);
  -- A ticket whose job is not dispatched is old, and needs no lock to be told so.
  others := ARRAY(SELECT j.id FROM job j WHERE j.id = ANY (jobs) AND j.state = 'dispatched' AND NOT j.id = ANY (held));
  RETURN QUERY
  SELECT a.n::int, c.* FROM unnest(jobs, seqs, attempts, paths) WITH ORDINALITY AS a (job, seq, attempt, path, n)
   CROSS JOIN LATERAL dd_claim_v4(a.job, a.seq, a.attempt, w, a.path) c WHERE NOT a.job = ANY (others)
  UNION ALL
  SELECT a.n::int, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL FROM unnest(jobs) WITH ORDINALITY AS a (job, n) WHERE a.job = ANY (others);
END $$;

-- As the third version, and which of the attempts owned hold sessions that are to be released.
CREATE FUNCTION dd_renew_v4(w uuid, ttl interval, running uuid[], phases text[],
  OUT live boolean, OUT owned uuid[], OUT cancelled uuid[], OUT released uuid[], OUT drained boolean)
LANGUAGE plpgsql AS $$
DECLARE durable text;
BEGIN
  IF cardinality(running) > 0 THEN
    durable := set_config('synchronous_commit', 'on', true);
  END IF;
  UPDATE worker SET lease_until = clock_timestamp() + ttl WHERE id = w AND ended_at IS NULL RETURNING drain_asked_at IS NOT NULL INTO drained;
  live := FOUND;
  IF cardinality(running) > 1 THEN
    -- In the order a group of finishes locks them.
    PERFORM 1 FROM attempt a WHERE a.id = ANY (running) ORDER BY a.id FOR NO KEY UPDATE;
  END IF;
  IF live AND cardinality(running) > 0 THEN
    WITH told AS (SELECT * FROM unnest(running, phases) AS u (id, phase)),
    moved AS (
      UPDATE attempt a SET phase = told.phase::attempt_phase FROM told
       WHERE a.id = told.id AND a.worker_id = w AND a.state = 'running' AND a.phase IS DISTINCT FROM told.phase::attempt_phase
      RETURNING a.job_id, a.number, a.phase)
    INSERT INTO event (tenant_id, project_id, job_id, kind, data)
    SELECT j.tenant_id, j.project_id, j.id, 'status',
           jsonb_build_object('status', 'in_progress', 'status_detail', moved.phase, 'attempt', moved.number)
      FROM moved JOIN job j ON j.id = moved.job_id;
  END IF;
  owned := ARRAY(SELECT a.id FROM attempt a WHERE live AND a.worker_id = w AND a.state = 'running');
  cancelled := '{}';
  released := '{}';
  IF owned <> '{}' THEN
    cancelled := ARRAY(SELECT a.id FROM attempt a JOIN job j ON j.id = a.job_id WHERE a.id = ANY (owned) AND j.cancel_at IS NOT NULL);
    released := ARRAY(SELECT a.id FROM attempt a JOIN session s ON s.job_id = a.job_id
                       WHERE a.id = ANY (owned) AND s.release_asked_at IS NOT NULL AND s.ended_at IS NULL);
  END IF;
END $$;

-- As the first version. A session that was ready and lost its attempt is over at once, and says so.
CREATE FUNCTION dd_expire_v2(batch int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE ids uuid[]; j job; n int := 0;
BEGIN
  ids := ARRAY(SELECT id FROM job WHERE expires_at IS NOT NULL AND state IN ('scheduled', 'pending', 'queued', 'dispatched')
                AND expires_at <= statement_timestamp() ORDER BY expires_at LIMIT batch);
  IF ids = '{}' THEN RETURN 0; END IF;
  PERFORM 1 FROM project p WHERE p.id IN (SELECT project_id FROM job WHERE id = ANY (ids)) ORDER BY p.id FOR NO KEY UPDATE;
  PERFORM dd_hold_edges_v1(ids);
  FOR j IN
    UPDATE job SET state = 'failed', backing_off = false, finished_at = clock_timestamp(),
           (failure_kind, errors) = (
             SELECT CASE WHEN s.ready_at IS NULL THEN 'queue_timeout' ELSE 'lost' END,
                    ARRAY[CASE WHEN s.ready_at IS NULL THEN format('not started within %s s', job.queue_timeout_s)
                               ELSE 'the session was lost with its attempt, and is not started again' END]
               FROM (SELECT) one LEFT JOIN session s ON s.job_id = job.id)
     WHERE id = ANY (ids) AND expires_at <= clock_timestamp() AND state IN ('scheduled', 'pending', 'queued', 'dispatched')
    RETURNING *
  LOOP
    n := n + 1;
    DELETE FROM job_dependency WHERE job_id = j.id;
    PERFORM dd_status_event_v2(j, 'error');
    PERFORM dd_settle_v1(j);
  END LOOP;
  RETURN n;
END $$;
