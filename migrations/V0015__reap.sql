-- Take back one attempt of a worker that is over or whose lease ran out `grace` ago; every predicate is checked under the locks.
-- Answers: moved_on | alive | the job's new state.
CREATE FUNCTION dd_reap_v1(a uuid, grace interval) RETURNS text LANGUAGE plpgsql AS $$
DECLARE j job; w worker; jid uuid; s job_state;
BEGIN
  SELECT job_id INTO jid FROM attempt WHERE id = a;
  PERFORM 1 FROM project p JOIN job b ON b.project_id = p.id WHERE b.id = jid FOR NO KEY UPDATE OF p;
  SELECT * INTO j FROM job WHERE id = jid FOR UPDATE;
  IF j.state IS DISTINCT FROM 'running' OR j.current_attempt IS DISTINCT FROM a THEN RETURN 'moved_on'; END IF;
  SELECT k.* INTO STRICT w FROM attempt t JOIN worker k ON k.id = t.worker_id WHERE t.id = a FOR UPDATE OF k;
  IF w.ended_at IS NULL AND w.lease_until + grace > clock_timestamp() THEN RETURN 'alive'; END IF;
  UPDATE attempt SET state = 'lost', finished_at = clock_timestamp(), detail = 'the worker is gone',
         log_bytes = coalesce((SELECT max(byte_offset + length) FROM log_chunk WHERE attempt_id = a), 0)
   WHERE id = a;
  s := dd_end_attempt_v1(j, 'lost');
  RETURN s::text;
END $$;

-- Workers whose lease ran out long ago are over, so that their attempts can be listed cheaply.
CREATE FUNCTION dd_end_expired_workers_v1(grace interval) RETURNS int LANGUAGE sql AS $$
  WITH gone AS (
    UPDATE worker SET ended_at = clock_timestamp()
     WHERE ended_at IS NULL AND lease_until + grace <= clock_timestamp() RETURNING 1)
  SELECT count(*)::int FROM gone $$;
