//! What must hold in the database between any two transactions, as one query. It is the last line of a test, not its oracle:
//! a protocol that does nothing violates nothing, so tests compare answers with a model as well.

use drydock_database::GenericClient;

/// One row per broken rule: the rule, then whose row breaks it.
pub const VIOLATIONS: &str = "
WITH active AS (
  SELECT project_id, count(*) AS jobs, count(*) FILTER (WHERE NOT read_only) AS writers
    FROM job WHERE state IN ('queued', 'dispatched', 'running') GROUP BY 1),
waiting AS (
  SELECT project_id, count(*) FILTER (WHERE NOT read_only) AS writers, count(*) FILTER (WHERE read_only) AS readers
    FROM job WHERE state = 'pending' GROUP BY 1),
tries AS (
  SELECT job_id, count(*) AS tries, max(number) AS newest, count(*) FILTER (WHERE state = 'running') AS running,
         count(*) FILTER (WHERE state = 'lost') AS lost, count(*) FILTER (WHERE state = 'infra') AS infra,
         count(*) FILTER (WHERE state = 'conflict') AS conflict,
         count(*) FILTER (WHERE state IN ('failed', 'timeout')) AS failed
    FROM attempt GROUP BY 1),
line AS (
  SELECT project_id, count(*) AS versions, max(number) AS newest, count(*) FILTER (WHERE parent <> number - 1) AS bent
    FROM version GROUP BY 1),
edges AS (SELECT job_id, count(*) AS edges, count(*) FILTER (WHERE ended = 'succeeded') AS met FROM job_dependency GROUP BY 1)
SELECT 'more than one writer heads the lane: project ' || project_id FROM active WHERE writers > 1
UNION ALL SELECT 'more than three jobs in a project''s places: project ' || project_id FROM active WHERE jobs > 3
UNION ALL SELECT 'stalled lane, a writer waits and none is active: project ' || w.project_id
  FROM waiting w LEFT JOIN active a USING (project_id)
 WHERE w.writers > 0 AND coalesce(a.writers, 0) = 0 AND coalesce(a.jobs, 0) < 3
UNION ALL SELECT 'stalled reader, a place is free: project ' || w.project_id
  FROM waiting w LEFT JOIN active a USING (project_id) WHERE w.readers > 0 AND coalesce(a.jobs, 0) < 3
UNION ALL SELECT 'more than one running attempt: job ' || job_id FROM tries WHERE running > 1
UNION ALL SELECT 'running without its running attempt: job ' || j.id FROM job j LEFT JOIN attempt a ON a.id = j.current_attempt
 WHERE j.state = 'running' AND (a.id IS NULL OR a.state <> 'running' OR a.job_id <> j.id)
UNION ALL SELECT 'a running attempt its job does not name: attempt ' || a.id FROM attempt a JOIN job j ON j.id = a.job_id
 WHERE a.state = 'running' AND (j.state <> 'running' OR j.current_attempt IS DISTINCT FROM a.id)
UNION ALL SELECT 'ended without a time, or a time without an end: job ' || id FROM job
 WHERE (state IN ('succeeded', 'failed', 'dead', 'canceled')) <> (finished_at IS NOT NULL)
UNION ALL SELECT 'attempts counted wrongly: job ' || j.id FROM job j LEFT JOIN tries t ON t.job_id = j.id
 WHERE j.attempts <> coalesce(t.tries, 0) OR j.attempts <> coalesce(t.newest, 0)
UNION ALL SELECT 'faults counted wrongly: job ' || j.id FROM job j LEFT JOIN tries t ON t.job_id = j.id
 WHERE (j.losses, j.infra_faults, j.conflicts, j.failures)
    <> (coalesce(t.lost, 0), coalesce(t.infra, 0), coalesce(t.conflict, 0), coalesce(t.failed, 0))
UNION ALL SELECT 'the versions are no line up to the head: project ' || p.id FROM project p LEFT JOIN line l ON l.project_id = p.id
 WHERE p.head_version <> coalesce(l.versions, 0) OR p.head_version <> coalesce(l.newest, 0) OR coalesce(l.bent, 0) > 0
UNION ALL SELECT 'more than one version of a job: job ' || author_id FROM version WHERE author_kind = 'job'
 GROUP BY author_id HAVING count(*) > 1
UNION ALL SELECT 'a job names a version it did not make: job ' || j.id FROM job j
  LEFT JOIN version v ON v.project_id = j.project_id AND v.number = j.version AND v.author_id = j.id
 WHERE j.version IS NOT NULL AND v.number IS NULL
UNION ALL SELECT 'a version of a job that did not end with it: job ' || j.id
  FROM version v JOIN job j ON j.id = v.author_id AND v.author_kind = 'job'
 WHERE j.version IS DISTINCT FROM v.number OR NOT (j.state = 'succeeded' OR j.state = 'failed' AND j.keep_on_error)
UNION ALL SELECT 'a version of a reader: job ' || j.id
  FROM version v JOIN job j ON j.id = v.author_id AND v.author_kind = 'job' WHERE j.read_only
UNION ALL SELECT 'a dependency of a job that is not scheduled: job ' || j.id FROM job j JOIN edges e ON e.job_id = j.id
 WHERE j.state <> 'scheduled'
UNION ALL SELECT 'unmet dependencies counted wrongly: job ' || j.id FROM job j LEFT JOIN edges e ON e.job_id = j.id
 WHERE j.state = 'scheduled' AND j.unmet <> coalesce(e.edges, 0)
UNION ALL SELECT 'a dependency ended and was not told: job ' || e.job_id FROM job_dependency e JOIN job d ON d.id = e.on_job
 WHERE e.ended IS DISTINCT FROM CASE WHEN d.finished_at IS NOT NULL THEN d.state END
UNION ALL SELECT 'backing off without being queued: job ' || id FROM job WHERE backing_off AND state <> 'queued'
UNION ALL SELECT 'a cancel on a job that neither runs nor ended by it: job ' || id FROM job
 WHERE cancel_at IS NOT NULL AND state NOT IN ('running', 'canceled')
UNION ALL SELECT 'two live workers of an instance: ' || instance FROM worker WHERE ended_at IS NULL
 GROUP BY instance HAVING count(*) > 1
UNION ALL SELECT 'a key that names no job: ' || k.key FROM idempotency k LEFT JOIN job j ON j.id = k.resource_id WHERE j.id IS NULL
ORDER BY 1 LIMIT 50";

/// The rules broken now, as sentences; none in a sound database. Panics when the database does not answer.
pub async fn violations(client: &impl GenericClient) -> Vec<String> {
    let statement = client.prepare_cached(VIOLATIONS).await.expect("the rules are valid SQL for this schema");
    let broken = client.query(&statement, &[]).await.expect("the database answers");
    broken.iter().map(|row| row.get(0)).collect()
}
