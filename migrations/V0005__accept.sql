-- Accept a job: the idempotency key, the lane and the row in one transaction. A return of 'accepted' is a durable promise.
-- Locks: project, then job. Answers: accepted | replayed (same key, same body) | key_reused (same key, other body) | no_project.
CREATE FUNCTION dd_accept_v1(
  j uuid, p uuid, t uuid, jt text, ti text, i text, av text[], a text, pr smallint, ro boolean, koe boolean,
  re smallint, tmo int, iso text, l jsonb, ra timestamptz, retried uuid, ikey text, fp bytea)
RETURNS TABLE (outcome text, job_id uuid) LANGUAGE plpgsql AS $$
DECLARE pj project; fresh job; known idempotency; s job_state;
BEGIN
  SELECT * INTO pj FROM project WHERE id = p AND tenant_id = t AND deleted_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN QUERY SELECT 'no_project', NULL::uuid; RETURN; END IF;
  IF ikey IS NOT NULL THEN
    INSERT INTO idempotency (tenant_id, key, fingerprint, resource_id) VALUES (t, ikey, fp, j) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
      SELECT * INTO known FROM idempotency WHERE tenant_id = t AND key = ikey;
      IF known.fingerprint = fp THEN RETURN QUERY SELECT 'replayed', known.resource_id;
      ELSE RETURN QUERY SELECT 'key_reused', NULL::uuid; END IF;
      RETURN;
    END IF;
  END IF;
  s := CASE
    WHEN ra > clock_timestamp() THEN 'scheduled'
    WHEN ro THEN 'queued'
    WHEN EXISTS (SELECT 1 FROM job WHERE project_id = p AND NOT read_only AND state IN ('pending', 'queued', 'dispatched', 'running'))
      THEN 'pending'
    ELSE 'queued' END;
  INSERT INTO job (id, tenant_id, project_id, job_type, title, instruction, argv, agent, pool, labels, min_isolation, priority,
                   read_only, keep_on_error, retries, timeout_s, retry_of, state, run_at, queued_at)
  VALUES (j, t, p, jt::job_type, ti, i, av, coalesce(a, pj.agent), pj.pool, l, greatest(iso::isolation, pj.min_isolation), pr,
          ro, koe, re, tmo, retried, s, coalesce(ra, clock_timestamp()), CASE WHEN s = 'queued' THEN clock_timestamp() END)
  RETURNING * INTO fresh;
  PERFORM dd_status_event_v1(fresh, s::text);
  RETURN QUERY SELECT 'accepted', j;
END $$;
