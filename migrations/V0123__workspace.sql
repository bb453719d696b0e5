-- Workspaces that a daemon on somebody's machine holds: a folder there is the workspace of a project's jobs while the daemon has it. A
-- daemon is a worker of the pool '@workspace', which no project and no worker can name, and takes no tickets ('draining'): the API that
-- holds its connection claims its project's jobs and hands them over.
-- Whoever needs a table that this changes waits meanwhile: better often and shortly than once and long.
SELECT set_config('lock_timeout', '200ms', true);

-- Where the project's jobs go while no daemon has it; NULL: where `pool` says.
ALTER TABLE project ADD home_pool text;

CREATE TABLE workspace (
  project_id uuid PRIMARY KEY REFERENCES project,
  tenant_id uuid NOT NULL REFERENCES tenant,
  -- The folder's own id, kept over restarts of its daemon.
  instance uuid NOT NULL,
  worker_id uuid NOT NULL REFERENCES worker,
  -- NULL: none now.
  connection uuid,
  syncing boolean NOT NULL DEFAULT false,
  connected_at timestamptz NOT NULL,
  last_seen_at timestamptz NOT NULL
);
ALTER TABLE workspace ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_rows ON workspace USING ((SELECT dd_every_tenant_v1()) OR tenant_id = (SELECT dd_tenant_v1()));

-- What lets a daemon in: to its project's files and its socket, and nowhere else. Of the secret only the hash is kept.
CREATE TABLE workspace_token (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant,
  project_id uuid NOT NULL REFERENCES project,
  -- Who made it: it counts no longer than they do.
  user_id uuid REFERENCES user_account,
  name text NOT NULL,
  prefix text NOT NULL UNIQUE,
  hash bytea NOT NULL CHECK (length(hash) = 32),
  created_at timestamptz NOT NULL,
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz
);
CREATE INDEX workspace_token_list ON workspace_token (tenant_id, project_id, created_at DESC, id DESC);
ALTER TABLE workspace_token ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_rows ON workspace_token USING ((SELECT dd_every_tenant_v1()) OR tenant_id = (SELECT dd_tenant_v1()));

-- Whether a daemon may have a job: it gives no isolation, has no labels, and serves nothing.
CREATE FUNCTION dd_workspace_takes_v1(isolated isolation, kind text, wanted jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT isolated = 'none' AND kind <> 'session' AND wanted = '{}' $$;

-- A daemon of the folder `inst` connects as `conn`. What its folder had in hand stays its own while its lease holds (`w` is for a new
-- worker otherwise); an earlier connection is over. From now on the project's jobs come to it, those that wait included, if it may have
-- them.
-- Outcomes: connected | no_project | isolation. Locks: project, jobs, workspace, worker.
CREATE FUNCTION dd_workspace_connect_v1(t uuid, p uuid, inst uuid, conn uuid, w uuid, ag text[], b text, ttl interval)
RETURNS TABLE (outcome text, worker uuid, head int) LANGUAGE plpgsql AS $$
DECLARE q project; k workspace; began timestamptz;
BEGIN
  SELECT * INTO q FROM project WHERE id = p AND tenant_id = t AND deleted_at IS NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN outcome := 'no_project'; RETURN NEXT; RETURN; END IF;
  IF q.min_isolation > 'none' THEN outcome := 'isolation'; RETURN NEXT; RETURN; END IF;
  UPDATE job SET pool = '@workspace'
   WHERE project_id = p AND state IN ('scheduled', 'pending', 'queued') AND pool <> '@workspace' AND dd_workspace_takes_v1(min_isolation, job_type::text, requires);
  SELECT * INTO k FROM workspace WHERE project_id = p FOR UPDATE;
  began := clock_timestamp();
  IF k.instance = inst THEN
    UPDATE worker SET lease_until = began + ttl, agents = ag, build = b WHERE id = k.worker_id AND ended_at IS NULL;
    IF FOUND THEN w := k.worker_id; END IF;
  END IF;
  IF w IS DISTINCT FROM k.worker_id THEN
    UPDATE worker SET ended_at = began WHERE instance = 'workspace/' || p AND ended_at IS NULL;
    INSERT INTO worker (id, instance, pool, slots, agents, labels, isolation, rung, refused_rungs, build, draining, lease_until)
    VALUES (w, 'workspace/' || p, '@workspace', 3, ag, '{}', 'none', 'live', '{}', b, true, began + ttl);
  END IF;
  INSERT INTO workspace (project_id, tenant_id, instance, worker_id, connection, connected_at, last_seen_at) VALUES (p, t, inst, w, conn, began, began)
  ON CONFLICT (project_id) DO UPDATE SET instance = inst, worker_id = w, connection = conn, syncing = false, connected_at = began, last_seen_at = began;
  IF q.pool <> '@workspace' THEN UPDATE project SET home_pool = pool, pool = '@workspace' WHERE id = p; END IF;
  outcome := 'connected'; worker := w; head := q.head_version;
  RETURN NEXT;
END $$;

-- The daemon connected as `conn` is there. Answers its project's newest version; nothing: another connection has taken its place, or the
-- project is gone.
CREATE FUNCTION dd_workspace_seen_v1(p uuid, conn uuid, sync boolean) RETURNS SETOF int LANGUAGE sql AS $$
  WITH seen AS (
    UPDATE workspace SET last_seen_at = clock_timestamp(), syncing = coalesce(sync, syncing) WHERE project_id = p AND connection = conn RETURNING project_id)
  SELECT q.head_version FROM seen JOIN project q ON q.id = seen.project_id WHERE q.deleted_at IS NULL $$;

-- Claims of the project's jobs, under the ids `fresh`, for the daemon connected as `conn`: what its lane lets go, which is as many as a
-- workspace has room for. Answers all attempts of its worker that are not among `in_hand`, so that one whose telling got lost is told again.
-- Locks: workspace (FOR SHARE, so that its place is not taken between the check and the claim), jobs.
CREATE FUNCTION dd_workspace_claim_v1(p uuid, conn uuid, fresh uuid[], in_hand uuid[], path text)
RETURNS TABLE (attempt_id uuid, job_id uuid, attempt_number smallint, spec jsonb) LANGUAGE plpgsql AS $$
DECLARE k workspace; wk worker; j job; head int; began timestamptz; n int := 0; room int;
BEGIN
  SELECT * INTO k FROM workspace WHERE project_id = p AND connection = conn FOR SHARE;
  IF NOT FOUND THEN RETURN; END IF;
  SELECT * INTO wk FROM worker WHERE id = k.worker_id AND ended_at IS NULL AND lease_until > clock_timestamp() FOR SHARE;
  IF NOT FOUND THEN RETURN; END IF;
  -- Its tenant's limit holds here as well; a disabled tenant has no room.
  SELECT least(cardinality(fresh), CASE WHEN t.max_running IS NULL THEN cardinality(fresh) ELSE t.max_running - (
           SELECT count(*) FROM job b WHERE b.tenant_id = t.id AND b.state IN ('dispatched', 'running')) END)
    INTO room FROM tenant t WHERE t.id = k.tenant_id AND t.disabled_at IS NULL;
  FOR j IN
    SELECT c.* FROM job c
     WHERE c.project_id = p AND c.state = 'queued' AND NOT c.backing_off AND c.cancel_at IS NULL AND dd_suits_v1(wk, c)
     ORDER BY c.priority DESC, c.queued_at, c.id LIMIT greatest(coalesce(room, 0), 0) FOR UPDATE SKIP LOCKED
  LOOP
    n := n + 1;
    SELECT head_version INTO STRICT head FROM project WHERE id = p;
    began := clock_timestamp();
    INSERT INTO attempt (id, job_id, number, worker_id, base_version, workspace_path, isolation, phase, started_at)
    VALUES (fresh[n], j.id, j.attempts + 1, wk.id, head, path, wk.isolation, 'materializing', began);
    UPDATE job SET state = 'running', dispatch_seq = dispatch_seq + 1, dispatched_at = began, attempts = attempts + 1, current_attempt = fresh[n],
           redispatches = 0, started_at = coalesce(started_at, began)
     WHERE id = j.id RETURNING * INTO j;
    PERFORM dd_status_event_v2(j, 'materializing');
  END LOOP;
  RETURN QUERY
  SELECT a.id, b.id, a.number,
         jsonb_build_object('tenant_id', b.tenant_id, 'project_id', b.project_id, 'job_type', b.job_type, 'instruction', b.instruction,
           'argv', b.argv, 'agent', b.agent, 'labels', b.labels, 'timeout_s', b.timeout_s, 'silence_timeout_s', b.silence_timeout_s,
           'read_only', b.read_only, 'keep_on_error', b.keep_on_error)
    FROM attempt a JOIN job b ON b.id = a.job_id
   WHERE a.worker_id = wk.id AND a.state = 'running' AND NOT a.id = ANY (in_hand) ORDER BY a.started_at, a.id;
END $$;

-- Ends an attempt of a daemon's. Its changes are the version `made` already, where it made any: nothing is published here.
-- Answers and locks: those of the finish.
CREATE FUNCTION dd_workspace_finish_v1(jid uuid, a uuid, kind text, report jsonb, made int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text;
BEGIN
  answer := dd_finish_v5(jid, a, kind, report || jsonb_build_object('log_bytes',
              coalesce((SELECT max(c.byte_offset + c.length) FROM log_chunk c WHERE c.attempt_id = a), 0)), NULL, NULL, NULL, NULL, '[]');
  IF answer = 'ok' AND made IS NOT NULL THEN
    UPDATE job j SET version = made
     WHERE j.id = jid AND NOT j.read_only AND j.finished_at IS NOT NULL AND EXISTS (
       SELECT FROM version v JOIN attempt t ON t.id = a
        WHERE v.project_id = j.project_id AND v.number = made AND v.number > t.base_version AND v.author_kind = 'daemon');
  END IF;
  RETURN answer;
END $$;

-- The project's jobs go home. Whoever calls it holds nothing.
-- Locks: project, jobs.
CREATE FUNCTION dd_workspace_home_v1(p uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE q project;
BEGIN
  SELECT * INTO q FROM project WHERE id = p AND pool = '@workspace' FOR NO KEY UPDATE;
  IF NOT FOUND OR EXISTS (SELECT FROM workspace k JOIN worker w ON w.id = k.worker_id WHERE k.project_id = p AND w.ended_at IS NULL) THEN RETURN; END IF;
  UPDATE project SET pool = home_pool, home_pool = NULL WHERE id = p;
  UPDATE job SET pool = q.home_pool WHERE project_id = p AND pool = '@workspace' AND state IN ('scheduled', 'pending', 'queued');
END $$;

-- The connection is over. One that says `bye` has nothing in hand and does not come back soon: its project's jobs go home at once.
-- Locks: workspace, worker, then those of the going home.
CREATE FUNCTION dd_workspace_left_v1(p uuid, conn uuid, bye boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE w uuid;
BEGIN
  UPDATE workspace SET connection = NULL, syncing = false, last_seen_at = clock_timestamp() WHERE project_id = p AND connection = conn RETURNING worker_id INTO w;
  IF FOUND AND bye AND NOT EXISTS (SELECT FROM attempt a WHERE a.worker_id = w AND a.state = 'running') THEN
    UPDATE worker SET ended_at = clock_timestamp() WHERE id = w AND ended_at IS NULL;
  END IF;
END $$;

-- Projects whose daemon is over, and whose jobs are to go home.
CREATE FUNCTION dd_workspace_orphans_v1(most int) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
  SELECT k.project_id FROM workspace k JOIN worker w ON w.id = k.worker_id JOIN project q ON q.id = k.project_id
   WHERE w.ended_at IS NOT NULL AND q.pool = '@workspace' ORDER BY k.project_id LIMIT most $$;

-- A job that would come to a daemon, and must not or cannot: its pool may be one that an older job had.
CREATE FUNCTION dd_workspace_job_v1() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE q project;
BEGIN
  SELECT * INTO STRICT q FROM project WHERE id = NEW.project_id;
  IF q.pool <> '@workspace' THEN NEW.pool := q.pool;
  ELSIF NOT dd_workspace_takes_v1(NEW.min_isolation, NEW.job_type::text, NEW.requires) THEN NEW.pool := q.home_pool;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER workspace_job BEFORE INSERT ON job FOR EACH ROW WHEN (NEW.pool = '@workspace') EXECUTE FUNCTION dd_workspace_job_v1();

-- A job that is tried again, or that its batch lets go: it goes where its project's jobs go by now. What runs at the moment of a change
-- keeps its pool, and what a batch writes may come beside one.
CREATE FUNCTION dd_workspace_again_v1() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE q project;
BEGIN
  SELECT * INTO STRICT q FROM project WHERE id = NEW.project_id;
  IF q.pool <> '@workspace' THEN
    IF NEW.pool = '@workspace' THEN NEW.pool := q.pool; END IF;
  ELSIF dd_workspace_takes_v1(NEW.min_isolation, NEW.job_type::text, NEW.requires) THEN NEW.pool := q.pool;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER workspace_again BEFORE UPDATE OF state ON job FOR EACH ROW
  WHEN ((OLD.state = 'running' AND NEW.state = 'queued') OR (OLD.on_hold AND NOT NEW.on_hold AND NEW.pool = '@workspace'))
  EXECUTE FUNCTION dd_workspace_again_v1();

-- Who sets the pool of a project that a daemon has means where its jobs go afterwards.
CREATE FUNCTION dd_workspace_pool_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.home_pool := NEW.pool;
  NEW.pool := '@workspace';
  RETURN NEW;
END $$;
CREATE TRIGGER workspace_pool BEFORE UPDATE OF pool ON project FOR EACH ROW
  WHEN (OLD.pool = '@workspace' AND NEW.pool <> '@workspace' AND NEW.home_pool IS NOT NULL) EXECUTE FUNCTION dd_workspace_pool_v1();

-- As the second version; made by the tenant's user (`kind` 'user'), or by a daemon.
-- Locks: project, objects that the base has not.
CREATE FUNCTION dd_change_files_v3(t uuid, p uuid, base int, tree jsonb, kind text, by uuid, beside boolean)
RETURNS TABLE (outcome text, head int, writer uuid) LANGUAGE plpgsql AS $$
BEGIN
  SELECT c.outcome, c.head, c.writer INTO outcome, head, writer FROM dd_change_files_v2(t, p, base, tree, by, beside) c;
  IF outcome = 'made' AND kind <> 'user' THEN
    UPDATE version v SET author_kind = kind WHERE v.project_id = p AND v.number = dd_change_files_v3.head;
  END IF;
  RETURN NEXT;
END $$;

-- As the first version. The pool of a fork is where the origin's jobs go while no daemon has it.
CREATE FUNCTION dd_fork_v2(t uuid, origin uuid, n int, child uuid, i text, l jsonb, k text, f bytea)
RETURNS TABLE (outcome text, made uuid) LANGUAGE plpgsql AS $$
BEGIN
  SELECT o.outcome, o.made INTO outcome, made FROM dd_fork_v1(t, origin, n, child, i, l, k, f) o;
  IF outcome = 'forked' THEN
    UPDATE project c SET pool = q.home_pool FROM project q WHERE c.id = child AND c.pool = '@workspace' AND q.id = origin;
  END IF;
  RETURN NEXT;
END $$;
