-- A session is for who waits for it. Two requests with one key wait for one session, and it is given up when the last of them goes; and
-- where a replica dies that answers one, the leader gives up what nobody was told of.
-- Whoever needs a table that this changes waits meanwhile: better often and shortly than once and long.
SELECT set_config('lock_timeout', '200ms', true);

-- Requests that wait for it, until when that is so unless one of them says it again (NULL: somebody was told of it, or nobody is to be), and
-- their key.
ALTER TABLE session ADD waiters int NOT NULL DEFAULT 0, ADD wanted_until timestamptz, ADD wanted_key text;
CREATE INDEX session_wanted ON session (wanted_until) WHERE wanted_until IS NOT NULL AND ended_at IS NULL;

-- As the first version; and whoever asks waits for it from now on, for `patience` until it says so again.
CREATE FUNCTION dd_session_start_v2(t uuid, asked jsonb, srv text, idle int, patience interval)
RETURNS TABLE (outcome text, session_id uuid, lacks text) LANGUAGE plpgsql AS $$
DECLARE a record;
BEGIN
  SELECT * INTO a FROM dd_session_start_v1(t, asked, srv, idle);
  IF a.outcome IN ('accepted', 'replayed') THEN
    UPDATE session s SET waiters = s.waiters + 1, wanted_until = clock_timestamp() + patience, wanted_key = asked ->> 'key'
     WHERE s.job_id = a.session_id AND s.ended_at IS NULL AND (a.outcome = 'accepted' OR s.wanted_until IS NOT NULL);
  END IF;
  outcome := a.outcome; session_id := a.session_id; lacks := a.lacks;
  RETURN NEXT;
END $$;

-- Somebody waits for it still.
CREATE FUNCTION dd_session_want_v1(jid uuid, patience interval) RETURNS void LANGUAGE sql AS $$
  UPDATE session SET wanted_until = clock_timestamp() + patience WHERE job_id = jid AND wanted_until IS NOT NULL $$;

-- Somebody knows of it: it stands by itself.
CREATE FUNCTION dd_session_told_v1(jid uuid) RETURNS void LANGUAGE sql AS $$
  UPDATE session SET wanted_until = NULL WHERE job_id = jid AND wanted_until IS NOT NULL $$;

-- As the first version, for one of those who wait. Answers also: waited (others do still).
-- Locks: those of the cancel, session.
CREATE FUNCTION dd_session_give_up_v2(t uuid, jid uuid, k text, why text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE left_waiting int;
BEGIN
  PERFORM 1 FROM project p JOIN job b ON b.project_id = p.id WHERE b.id = jid AND b.tenant_id = t FOR NO KEY UPDATE OF p;
  UPDATE session s SET waiters = s.waiters - 1 WHERE s.job_id = jid AND s.tenant_id = t RETURNING s.waiters INTO left_waiting;
  IF left_waiting > 0 AND NOT EXISTS (SELECT FROM session s WHERE s.job_id = jid AND (s.ready_at IS NOT NULL OR s.ended_at IS NOT NULL)) THEN
    RETURN 'waited';
  END IF;
  RETURN dd_session_give_up_v1(t, jid, k, why);
END $$;

-- Sessions that nobody waits for and nobody was told of: those that are not ready are cancelled, the others released.
-- Locks: of each those of the giving up and the release.
CREATE FUNCTION dd_session_unwanted_v1(most int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE s session; n int := 0;
BEGIN
  FOR s IN SELECT * FROM session x WHERE x.wanted_until < clock_timestamp() AND x.ended_at IS NULL ORDER BY x.job_id LIMIT most LOOP
    n := n + 1;
    IF dd_session_give_up_v1(s.tenant_id, s.job_id, s.wanted_key, 'whoever asked for it has gone') = 'ready' THEN
      PERFORM dd_session_release_v1(s.tenant_id, s.job_id);
    END IF;
    UPDATE session SET wanted_until = NULL WHERE job_id = s.job_id;
  END LOOP;
  RETURN n;
END $$;
