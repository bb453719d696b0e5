-- Locks the edges from and to jobs, in the one order everybody locks edges in: an edge's two projects differ, so that their
-- locks do not keep apart the end of a job and the end of one that depends on it.
CREATE FUNCTION dd_hold_edges_v1(jobs uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM job_dependency WHERE job_id = ANY (jobs) OR (on_job = ANY (jobs) AND ended IS NULL) ORDER BY job_id, on_job FOR UPDATE;
END $$;

-- A job has ended: those that depend on it are told, its place is handed over. The caller holds the project row.
CREATE FUNCTION dd_settle_v1(j job) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM job_dependency WHERE on_job = j.id AND ended IS NULL ORDER BY job_id FOR UPDATE;
  IF FOUND THEN
    UPDATE job_dependency SET ended = j.state WHERE on_job = j.id AND ended IS NULL;
  END IF;
  PERFORM dd_promote_v2(j.project_id);
END $$;

-- What becomes of a job whose attempt ended with `kind`: again, or over. An agent's failure is final unless the job asks for
-- retries; our own faults repeat without charging it, up to a limit each. A job that is to run again keeps its place.
-- The caller holds the project and the job row and has closed the attempt. What came of the run (summary, output, version,
-- preview, files, errors) is written as it stands in `j`: one new version of the row, not two. Returns the job's new state.
CREATE FUNCTION dd_end_attempt_v2(j job, kind attempt_state, detail text) RETURNS job_state LANGUAGE plpgsql AS $$
DECLARE
  f int := j.failures + (kind IN ('failed', 'timeout'))::int;
  i int := j.infra_faults + (kind = 'infra')::int;
  c int := j.conflicts + (kind = 'conflict')::int;
  x int := j.losses + (kind = 'lost')::int;
  s job_state; wait interval; after job;
BEGIN
  s := CASE
    WHEN kind = 'succeeded' THEN 'succeeded'
    WHEN kind = 'canceled' OR j.cancel_at IS NOT NULL THEN 'canceled'
    WHEN f > j.retries THEN 'failed'
    WHEN i >= 20 OR c >= 5 OR x >= 3 THEN 'dead'
    ELSE 'queued' END;
  wait := CASE
    WHEN kind IN ('interrupted', 'conflict') THEN interval '0'
    WHEN kind = 'lost' THEN CASE x WHEN 1 THEN interval '0' WHEN 2 THEN interval '10 s' ELSE interval '30 s' END
    ELSE least(interval '10 min', interval '1 s' * power(2, least(f + i, 10))) * (0.5 + random()) END;
  UPDATE job SET state = s, current_attempt = NULL, failures = f, infra_faults = i, conflicts = c, losses = x,
         backing_off = s = 'queued' AND wait > interval '0',
         run_at = CASE WHEN s = 'queued' THEN clock_timestamp() + wait ELSE run_at END,
         queued_at = CASE WHEN s = 'queued' THEN clock_timestamp() ELSE queued_at END,
         finished_at = CASE WHEN s <> 'queued' THEN clock_timestamp() END,
         failure_kind = CASE WHEN kind = 'succeeded' THEN NULL WHEN kind = 'failed' THEN 'agent' ELSE kind::text END,
         summary = j.summary, output = j.output, version = j.version, preview_url = j.preview_url,
         created_files = j.created_files, modified_files = j.modified_files, deleted_files = j.deleted_files,
         errors = CASE WHEN s <> 'dead' THEN j.errors
                       ELSE j.errors || format('given up: %s; the last: %s',
                              CASE kind WHEN 'lost' THEN 'three workers were lost while they ran it'
                                        WHEN 'conflict' THEN 'five times the project had moved on meanwhile'
                                        ELSE 'twenty faults of the infrastructure' END, coalesce(detail, 'no detail')) END
   WHERE id = j.id RETURNING * INTO after;
  PERFORM dd_status_event_v2(after, CASE s WHEN 'queued' THEN 'retrying' WHEN 'dead' THEN 'dead' ELSE dd_status_v1(s) END);
  IF s <> 'queued' THEN PERFORM dd_settle_v1(after); END IF;
  RETURN s;
END $$;
