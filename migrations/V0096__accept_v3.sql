-- As the second version, within the tenant's quotas of waiting jobs and of stored bytes: what comes first in the array is let in first.
-- For jobs beyond, `lacks` says which quota and how much of it is used. The tenant's count is read beside what was committed since; what
-- other accepts are writing at this moment is not in it, and may come on top.
-- Accept jobs: keys, places and rows in one transaction. An answer of 'accepted' is a durable promise.
-- `asked` is an array of {id, project_id, job_type, title, instruction, argv, agent, priority, read_only, keep_on_error,
-- retries, timeout_s, queue_timeout_s, silence_timeout_s, min_isolation, requires, labels, run_at, depends_on, retry_of,
-- schedule_id, key, fingerprint (hex)}.
-- Outcomes: accepted | replayed (same key, same body) | key_reused (same key, other body) | no_project | no_dependency (a job
-- it depends on is not this tenant's, comes later in the array, or is not accepted itself) | over_quota.
-- Locks: projects in id order, then keys. Those of the jobs depended on are among them, so that none of these ends meanwhile.
-- Last a row of the tenant's tally that nobody else holds.
CREATE FUNCTION dd_accept_v3(t uuid, asked jsonb)
RETURNS TABLE (place int, outcome text, job_id uuid, job_state text, at timestamptz, lacks text) LANGUAGE plpgsql AS $$
DECLARE
  began timestamptz; won uuid[] := '{}'; needing boolean; one record; made uuid[] := '{}'; lacking uuid[] := '{}';
  most int; bounded boolean; room bigint; fresh_ids uuid[] := '{}'; beyond uuid[] := '{}'; missing text;
BEGIN
  needing := jsonb_path_exists(asked, '$[*].depends_on[*]');
  PERFORM 1 FROM project p
    WHERE p.id IN (SELECT (a ->> 'project_id')::uuid FROM jsonb_array_elements(asked) a UNION ALL
                   SELECT d.project_id FROM job d WHERE needing AND d.tenant_id = t AND d.id IN (
                     SELECT x::uuid FROM jsonb_array_elements(asked) a, jsonb_array_elements_text(a -> 'depends_on') x))
      AND p.tenant_id = t ORDER BY p.id FOR NO KEY UPDATE;
  began := clock_timestamp();
  IF jsonb_path_exists(asked, '$[*].key ? (@ != null)') THEN
    WITH keyed AS (
      SELECT DISTINCT ON (a ->> 'key') a ->> 'key' AS key, (a ->> 'id')::uuid AS id, decode(a ->> 'fingerprint', 'hex') AS fingerprint
        FROM jsonb_array_elements(asked) WITH ORDINALITY AS u (a, n)
       WHERE a ->> 'key' IS NOT NULL AND EXISTS (SELECT 1 FROM project p WHERE p.tenant_id = t AND p.deleted_at IS NULL
                                                  AND p.id = (a ->> 'project_id')::uuid)
       ORDER BY a ->> 'key', n),
    fresh AS (
      INSERT INTO idempotency (tenant_id, key, fingerprint, resource_id)
      SELECT t, k.key, k.fingerprint, k.id FROM keyed k ORDER BY k.key ON CONFLICT DO NOTHING RETURNING resource_id)
    SELECT coalesce(array_agg(resource_id), '{}') INTO won FROM fresh;
  END IF;
  IF needing THEN
    FOR one IN
      SELECT (a ->> 'id')::uuid AS id, ARRAY(SELECT x::uuid FROM jsonb_array_elements_text(nullif(a -> 'depends_on', 'null')) x) AS needs
        FROM jsonb_array_elements(asked) WITH ORDINALITY AS u (a, n)
       WHERE (a ->> 'key' IS NULL OR (a ->> 'id')::uuid = ANY (won))
         AND EXISTS (SELECT 1 FROM project p WHERE p.tenant_id = t AND p.deleted_at IS NULL AND p.id = (a ->> 'project_id')::uuid)
       ORDER BY n
    LOOP
      IF EXISTS (SELECT 1 FROM unnest(one.needs) x
                  WHERE x <> ALL (made) AND NOT EXISTS (SELECT 1 FROM job d WHERE d.id = x AND d.tenant_id = t)) THEN
        lacking := lacking || one.id;
      ELSE
        made := made || one.id;
      END IF;
    END LOOP;
  END IF;
  SELECT q.max_queued_jobs, q.max_queued_jobs IS NOT NULL OR q.max_storage_bytes IS NOT NULL INTO most, bounded FROM tenant q WHERE q.id = t;
  IF bounded THEN
    fresh_ids := ARRAY(
      SELECT (a ->> 'id')::uuid FROM jsonb_array_elements(asked) WITH ORDINALITY AS u (a, n)
       WHERE ((a ->> 'id')::uuid = ANY (won) OR a ->> 'key' IS NULL) AND NOT (a ->> 'id')::uuid = ANY (lacking)
         AND EXISTS (SELECT FROM project q WHERE q.id = (a ->> 'project_id')::uuid AND q.tenant_id = t AND q.deleted_at IS NULL)
         -- One that is there already was let in by a call whose answer got lost.
         AND NOT EXISTS (SELECT FROM job e WHERE e.id = (a ->> 'id')::uuid)
       ORDER BY n);
    missing := dd_lacks_storage_v1(t);
    IF missing IS NOT NULL THEN
      room := 0;
    ELSIF most IS NOT NULL THEN
      SELECT most - h.queued, format('queued jobs: %s of %s are used', greatest(h.queued, most), most) INTO room, missing
        FROM dd_tenant_has_v1(t) h;
    END IF;
    -- Where more wait than the quota says, all are beyond.
    IF room IS NOT NULL THEN beyond := fresh_ids[room + 1 :]; END IF;
  END IF;
  RETURN QUERY
  WITH a AS (
    SELECT r.*, n::int AS place FROM ROWS FROM (jsonb_to_recordset(asked) AS (
        id uuid, project_id uuid, job_type job_type, title text, instruction text, argv text[], agent text, priority smallint,
        read_only boolean, keep_on_error boolean, retries smallint, timeout_s int, queue_timeout_s int, silence_timeout_s int,
        min_isolation isolation, requires jsonb, labels jsonb, run_at timestamptz, depends_on uuid[], retry_of uuid,
        schedule_id uuid, key text, fingerprint text)) WITH ORDINALITY AS r (
        id, project_id, job_type, title, instruction, argv, agent, priority, read_only, keep_on_error, retries, timeout_s,
        queue_timeout_s, silence_timeout_s, min_isolation, requires, labels, run_at, depends_on, retry_of, schedule_id, key,
        fingerprint, n)),
  needed AS (
    SELECT a.id, u.on_job, coalesce(d.state, 'pending'::job_state) AS state
      FROM a CROSS JOIN LATERAL (SELECT DISTINCT unnest(a.depends_on) AS on_job) u
      LEFT JOIN job d ON d.id = u.on_job AND d.tenant_id = t),
  needs AS (SELECT needed.id, count(*) FILTER (WHERE state <> 'succeeded')::int AS unmet FROM needed GROUP BY 1),
  -- `accepted` as a column of its own: of a comparison the planner expects one row, and joins row by row.
  judged AS (SELECT v.*, v.verdict = 'accepted' AS accepted FROM (
    SELECT a.*, p.agent AS default_agent, p.pool, p.min_isolation AS floor, coalesce(needs.unmet, 0) AS unmet,
           CASE WHEN p.id IS NULL THEN 'no_project'
                WHEN a.id = ANY (lacking) OR k.resource_id = ANY (lacking) THEN 'no_dependency'
                WHEN a.id = ANY (beyond) OR k.resource_id = ANY (beyond) THEN 'over_quota'
                WHEN a.key IS NOT NULL AND NOT a.id = ANY (won) THEN
                  CASE WHEN k.fingerprint = decode(a.fingerprint, 'hex') THEN 'replayed' ELSE 'key_reused' END
                ELSE 'accepted' END AS verdict, k.resource_id
      FROM a LEFT JOIN project p ON p.id = a.project_id AND p.tenant_id = t AND p.deleted_at IS NULL
      LEFT JOIN needs ON needs.id = a.id
      LEFT JOIN idempotency k ON k.tenant_id = t AND k.key = a.key) v),
  lanes AS MATERIALIZED (
    SELECT l.project_id, l.writer,
           (SELECT count(*) FROM job o WHERE o.project_id = l.project_id AND o.state IN ('queued', 'dispatched', 'running')) AS taken,
           EXISTS (SELECT 1 FROM job o WHERE o.project_id = l.project_id AND NOT o.read_only
                                         AND o.state IN ('pending', 'queued', 'dispatched', 'running')) AS written,
           EXISTS (SELECT 1 FROM job o WHERE o.project_id = l.project_id AND o.read_only AND o.state = 'pending') AS read
      FROM (SELECT g.project_id, bool_or(NOT g.read_only) AS writer FROM judged g
             WHERE g.accepted AND g.unmet = 0 AND (g.run_at IS NULL OR g.run_at <= began) GROUP BY 1) l),
  fresh AS (
    SELECT g.*, CASE
             WHEN g.unmet > 0 OR g.run_at > began THEN 'scheduled'
             WHEN NOT g.read_only AND NOT l.written AND l.taken < 3 AND g.turn = 1 THEN 'queued'
             WHEN g.read_only AND NOT l.read AND g.turn <= 3 - l.taken - (l.writer AND NOT l.written AND l.taken < 3)::int THEN 'queued'
             ELSE 'pending' END::job_state AS state
      FROM (SELECT j.*, row_number() OVER (
                     PARTITION BY j.project_id, j.read_only, j.unmet > 0 OR j.run_at > began IS TRUE ORDER BY j.priority DESC, j.place) AS turn
              FROM judged j WHERE j.accepted) g
      LEFT JOIN lanes l ON l.project_id = g.project_id),
  made AS (
    INSERT INTO job (id, tenant_id, project_id, job_type, title, instruction, argv, agent, pool, labels, min_isolation, requires,
                     demand, priority, read_only, keep_on_error, retries, timeout_s, queue_timeout_s, silence_timeout_s, expires_at,
                     depends_on, unmet, retry_of, schedule_id, state, run_at, queued_at, created_at, updated_at)
    SELECT f.id, t, f.project_id, f.job_type, f.title, f.instruction, f.argv, coalesce(f.agent, f.default_agent), f.pool,
           coalesce(f.labels, '{}'), greatest(f.min_isolation, f.floor), coalesce(f.requires, '{}'),
           dd_demand_v1(f.job_type, coalesce(f.agent, f.default_agent), greatest(f.min_isolation, f.floor), coalesce(f.requires, '{}')),
           f.priority, f.read_only, f.keep_on_error, f.retries, f.timeout_s, f.queue_timeout_s, f.silence_timeout_s,
           greatest(coalesce(f.run_at, began), began) + make_interval(secs => f.queue_timeout_s), coalesce(f.depends_on, '{}'), f.unmet,
           f.retry_of, f.schedule_id, f.state, coalesce(f.run_at, began), CASE WHEN f.state = 'queued' THEN began END,
           -- Arrival within one call is the array's order.
           began + f.place * interval '1 microsecond', began
      FROM fresh f
    RETURNING job.*),
  told AS (
    INSERT INTO event (tenant_id, project_id, job_id, kind, data)
    SELECT t, m.project_id, m.id, 'status', jsonb_build_object('status', 'queued', 'status_detail', m.state, 'attempt', 0) FROM made m),
  edges AS (
    INSERT INTO job_dependency (job_id, on_job, ended)
    SELECT e.id, e.on_job, CASE WHEN e.state IN ('failed', 'dead', 'canceled') THEN e.state END
      FROM needed e JOIN made m ON m.id = e.id WHERE e.state <> 'succeeded'),
  freed AS (
    DELETE FROM idempotency k USING judged g WHERE g.verdict IN ('no_dependency', 'over_quota') AND k.tenant_id = t AND k.key = g.key AND g.id = ANY (won))
  SELECT g.place, g.verdict, CASE g.verdict WHEN 'accepted' THEN g.id WHEN 'replayed' THEN g.resource_id END, m.state::text, m.created_at,
         CASE WHEN g.verdict = 'over_quota' THEN missing END
    FROM judged g LEFT JOIN made m ON m.id = g.id ORDER BY g.place;
  IF most IS NOT NULL AND cardinality(fresh_ids) > cardinality(beyond) THEN
    PERFORM dd_tally_tenant_v1(t, cardinality(fresh_ids) - cardinality(beyond), 0);
  END IF;
END $$;

-- Fire a schedule, as the versions before; where its tenant has no room, the time passes without a job.
-- Returns the accept's outcome, 'skipped', or 'moved_on'. Locks: schedule, then those of the accept.
CREATE FUNCTION dd_fire_v3(s uuid, due timestamptz, next_due timestamptz, asked jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE sc schedule; a record;
BEGIN
  UPDATE schedule SET next_at = next_due WHERE id = s AND next_at = due AND NOT paused AND deleted_at IS NULL RETURNING * INTO sc;
  IF NOT FOUND THEN RETURN 'moved_on'; END IF;
  IF asked IS NULL OR EXISTS (SELECT FROM tenant q WHERE q.id = sc.tenant_id AND q.disabled_at IS NOT NULL) THEN RETURN 'skipped'; END IF;
  SELECT * INTO a FROM dd_accept_v3(sc.tenant_id, jsonb_build_array(asked));
  IF a.outcome = 'accepted' THEN
    INSERT INTO firing (schedule_id, due_at, job_id) VALUES (s, due, a.job_id);
  END IF;
  RETURN a.outcome;
END $$;
