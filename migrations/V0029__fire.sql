-- Fire a schedule: the job for `due`, and the next time, in one transaction. The next time is computed by the caller; whoever
-- comes second finds another next_at and does nothing. `asked` is the schedule's job with id, project and schedule filled in, or
-- NULL to let this time pass. Returns the accept's outcome, 'skipped', or 'moved_on'.
-- Locks: schedule, then those of the accept.
CREATE FUNCTION dd_fire_v1(s uuid, due timestamptz, next_due timestamptz, asked jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE sc schedule; a record;
BEGIN
  UPDATE schedule SET next_at = next_due WHERE id = s AND next_at = due AND NOT paused AND deleted_at IS NULL RETURNING * INTO sc;
  IF NOT FOUND THEN RETURN 'moved_on'; END IF;
  IF asked IS NULL THEN RETURN 'skipped'; END IF;
  SELECT * INTO a FROM dd_accept_v2(sc.tenant_id, jsonb_build_array(asked));
  IF a.outcome = 'accepted' THEN
    INSERT INTO firing (schedule_id, due_at, job_id) VALUES (s, due, a.job_id);
  END IF;
  RETURN a.outcome;
END $$;
