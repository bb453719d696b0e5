-- Interactive sessions: servers that run on a project's workspace and are reached at host:port. A session is a job of type 'session', and
-- its id is the job's: lane, quotas, ticket, claim, lease, push and version are those of jobs. Beside it is what only a session has.
-- Whoever needs a table that this changes waits meanwhile: better often and shortly than once and long.
SELECT set_config('lock_timeout', '200ms', true);

-- How many of a worker's slots sessions may take. Its servers are among its agents, as 'session/NAME', which no job can name.
ALTER TABLE worker ADD session_slots int NOT NULL DEFAULT 0 CHECK (session_slots >= 0);

CREATE TABLE session (
  job_id uuid PRIMARY KEY REFERENCES job,
  tenant_id uuid NOT NULL REFERENCES tenant,
  server text NOT NULL,
  -- How long it may be without a connection; NULL: for ever.
  idle_timeout_s seconds,
  -- Where it is reached: once it is ready, and kept when it is over.
  host text,
  port int CHECK (port BETWEEN 1 AND 65535),
  preview_url text,
  ready_at timestamptz,
  -- The attempt that made it ready. No other does it again: whoever was told where it is would not find it there.
  attempt_id uuid REFERENCES attempt,
  release_asked_at timestamptz,
  ended_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK ((ready_at IS NULL) = (host IS NULL) AND (ready_at IS NULL) = (port IS NULL) AND (ready_at IS NULL) = (attempt_id IS NULL))
);
ALTER TABLE session ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_rows ON session USING ((SELECT dd_every_tenant_v1()) OR tenant_id = (SELECT dd_tenant_v1()));
CREATE INDEX session_list ON session (tenant_id, created_at DESC, job_id DESC);
CREATE INDEX session_live ON session (tenant_id, created_at DESC, job_id DESC) WHERE ended_at IS NULL;
CREATE INDEX session_releasing ON session (release_asked_at) WHERE release_asked_at IS NOT NULL AND ended_at IS NULL;

-- A worker starts: its predecessor on the same scratch directory is over, whatever its lease says.
CREATE FUNCTION dd_worker_start_v4(w uuid, inst text, po text, sl int, ss int, ag text[], la jsonb, iso text, ru text, refused jsonb, b text, ttl interval)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE worker SET ended_at = clock_timestamp() WHERE instance = inst AND ended_at IS NULL;
  INSERT INTO worker (id, instance, pool, slots, session_slots, agents, labels, isolation, rung, refused_rungs, build, lease_until)
  VALUES (w, inst, po, sl, ss, ag, la, iso::isolation, ru, refused, b, clock_timestamp() + ttl);
END $$;

-- Accepts a session: its job as any other (see dd_accept_v3, whose outcomes these are), and its row. Locks: those of the accept.
CREATE FUNCTION dd_session_start_v1(t uuid, asked jsonb, srv text, idle int)
RETURNS TABLE (outcome text, session_id uuid, lacks text) LANGUAGE plpgsql AS $$
DECLARE a record;
BEGIN
  SELECT * INTO a FROM dd_accept_v3(t, jsonb_build_array(asked));
  IF a.outcome = 'accepted' THEN
    INSERT INTO session (job_id, tenant_id, server, idle_timeout_s) VALUES (a.job_id, t, srv, idle);
  END IF;
  outcome := a.outcome; session_id := a.job_id; lacks := a.lacks;
  RETURN NEXT;
END $$;

-- The attempt's server takes connections at h:p; `url` is what the project shows of it, if anything. False: the attempt is not its
-- worker's any more, or the session is over or to be cancelled. Repeating the call changes nothing.
-- From here on the job is started by nobody else: as soon as it does not run it is expired.
-- Locks: project, job, session.
CREATE FUNCTION dd_session_ready_v1(a uuid, h text, p int, url text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE j job; jid uuid;
BEGIN
  SELECT t.job_id INTO jid FROM attempt t WHERE t.id = a;
  PERFORM 1 FROM project q JOIN job b ON b.project_id = q.id WHERE b.id = jid FOR NO KEY UPDATE OF q;
  SELECT b.* INTO j FROM job b WHERE b.id = jid AND b.state = 'running' AND b.current_attempt = a AND b.cancel_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE session s SET host = h, port = p, preview_url = url, ready_at = clock_timestamp(), attempt_id = a
   WHERE s.job_id = jid AND s.ready_at IS NULL AND s.ended_at IS NULL;
  IF NOT FOUND THEN RETURN EXISTS (SELECT FROM session s WHERE s.job_id = jid AND s.attempt_id = a AND s.ended_at IS NULL); END IF;
  UPDATE job SET expires_at = clock_timestamp() WHERE id = jid;
  IF url IS NOT NULL THEN UPDATE project SET preview_url = url WHERE id = j.project_id; END IF;
  INSERT INTO event (tenant_id, project_id, job_id, kind, data)
  VALUES (j.tenant_id, j.project_id, jid, 'progress', jsonb_build_object('message', format('the session is ready at %s:%s', h, p), 'attempt', j.attempts));
  RETURN true;
END $$;

-- A session is over when its job is, and when a ready one lost its attempt. Whoever moves the job holds the project.
CREATE FUNCTION dd_session_over_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE session s SET ended_at = clock_timestamp()
   WHERE s.job_id = NEW.id AND s.ended_at IS NULL AND (NEW.finished_at IS NOT NULL OR s.ready_at IS NOT NULL);
  IF FOUND THEN
    UPDATE project p SET preview_url = NULL FROM session s
     WHERE s.job_id = NEW.id AND p.id = NEW.project_id AND p.preview_url = s.preview_url;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER session_over AFTER UPDATE OF state ON job FOR EACH ROW
  -- As text: a value of an enum cannot be named by the transaction that adds it, and comparing schemas adds all of them in one.
  WHEN (NEW.job_type::text = 'session' AND OLD.state <> NEW.state AND (OLD.state = 'running' OR NEW.finished_at IS NOT NULL))
  EXECUTE FUNCTION dd_session_over_v1();

-- Release a session: its worker stops the server and keeps its files. One that is not ready has none, and is cancelled. Answers:
-- releasing | canceled (over now) | cancelling | gone (over before) | no_session. Locks: project, job, session, edges.
CREATE FUNCTION dd_session_release_v1(t uuid, jid uuid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE s session; j job;
BEGIN
  PERFORM 1 FROM project p JOIN job b ON b.project_id = p.id WHERE b.id = jid AND b.tenant_id = t FOR NO KEY UPDATE OF p;
  SELECT b.* INTO j FROM job b WHERE b.id = jid AND b.tenant_id = t FOR UPDATE;
  SELECT x.* INTO s FROM session x WHERE x.job_id = jid AND x.tenant_id = t FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN 'no_session'; END IF;
  IF s.ended_at IS NOT NULL THEN RETURN 'gone'; END IF;
  IF s.ready_at IS NULL OR j.cancel_at IS NOT NULL THEN RETURN dd_cancel_v1(t, jid, 'the session was released'); END IF;
  UPDATE session SET release_asked_at = clock_timestamp() WHERE job_id = jid AND release_asked_at IS NULL;
  RETURN 'releasing';
END $$;

-- Nobody waits for a session any more: one that is not ready is cancelled, and a request with its key `k` is a new one. Answers: ready |
-- canceled | cancelling | final | no_job. Locks: those of the cancel, session.
CREATE FUNCTION dd_session_give_up_v1(t uuid, jid uuid, k text, why text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM project p JOIN job b ON b.project_id = p.id WHERE b.id = jid AND b.tenant_id = t FOR NO KEY UPDATE OF p;
  IF EXISTS (SELECT FROM session s WHERE s.job_id = jid AND s.tenant_id = t AND s.ready_at IS NOT NULL AND s.ended_at IS NULL) THEN RETURN 'ready'; END IF;
  DELETE FROM idempotency i WHERE i.tenant_id = t AND i.key = k AND i.resource_id = jid;
  RETURN dd_cancel_v1(t, jid, why);
END $$;
