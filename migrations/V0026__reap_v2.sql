-- Take back one attempt of a worker that is over or whose lease ran out `grace` ago; every predicate is checked under the locks.
-- A job that is given up keeps the last it said. Answers: moved_on | alive | the job's new state.
-- Locks: project, job, worker, attempt.
CREATE FUNCTION dd_reap_v2(a uuid, grace interval) RETURNS text LANGUAGE plpgsql AS $$
DECLARE j job; w worker; jid uuid; s job_state; why text; last bytea;
BEGIN
  SELECT job_id INTO jid FROM attempt WHERE id = a;
  PERFORM 1 FROM project p JOIN job b ON b.project_id = p.id WHERE b.id = jid FOR NO KEY UPDATE OF p;
  SELECT * INTO j FROM job WHERE id = jid FOR UPDATE;
  IF j.state IS DISTINCT FROM 'running' OR j.current_attempt IS DISTINCT FROM a THEN RETURN 'moved_on'; END IF;
  SELECT k.* INTO STRICT w FROM attempt t JOIN worker k ON k.id = t.worker_id WHERE t.id = a FOR UPDATE OF k;
  IF w.ended_at IS NULL AND w.lease_until + grace > clock_timestamp() THEN RETURN 'alive'; END IF;
  why := format('worker %s was lost', w.instance);
  UPDATE attempt SET state = 'lost', finished_at = clock_timestamp(), detail = why,
         log_bytes = coalesce((SELECT max(byte_offset + length) FROM log_chunk WHERE attempt_id = a), 0)
   WHERE id = a;
  s := dd_end_attempt_v2(j, 'lost', why);
  IF s = 'dead' THEN
    SELECT c.data INTO last FROM log_chunk c WHERE c.attempt_id = a AND c.data IS NOT NULL ORDER BY c.seq DESC LIMIT 1;
    -- Printable ASCII as it is, anything else escaped: the log itself has the bytes.
    UPDATE job SET output = right(encode(last, 'escape'), 4096) WHERE id = jid AND last IS NOT NULL;
  END IF;
  RETURN s::text;
END $$;
