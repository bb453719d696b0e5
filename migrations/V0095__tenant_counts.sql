-- What a tenant has, as far as quotas ask: jobs that wait, and bytes that are stored. An accept reads a handful of rows for it, however many
-- jobs wait, and writes one that no other transaction holds: accepts of one tenant do not queue up behind a counter.

-- NULL: no quota.
ALTER TABLE tenant
  -- Jobs of no batch that have not started.
  ADD max_queued_jobs int CHECK (max_queued_jobs > 0),
  -- Lines that its batches have not let go.
  ADD max_held_jobs int CHECK (max_held_jobs > 0),
  ADD max_storage_bytes bigint CHECK (max_storage_bytes > 0);

-- As far as `tenant_tally` is folded in; what a tenant has is their sum.
CREATE TABLE tenant_count (
  tenant_id uuid PRIMARY KEY,
  -- Counted by the leader, up to one more than the quota; only where there is one. What has left the queue since is still in it.
  queued bigint NOT NULL DEFAULT 0,
  -- Bytes of objects that are not being deleted, and of logs.
  stored bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- What came since. Each transaction takes a row of its tenant that no other one holds, or makes one: there are no more than there were
-- transactions at once.
CREATE TABLE tenant_tally (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id uuid NOT NULL,
  queued bigint NOT NULL,
  stored bigint NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX tenant_tally_of_tenant ON tenant_tally (tenant_id);

-- What the leader counts.
CREATE INDEX job_waiting ON job (tenant_id) WHERE batch_id IS NULL AND state IN ('scheduled', 'pending', 'queued', 'dispatched');
-- What its batches hold is their sum.
CREATE INDEX batch_live_of_tenant ON batch (tenant_id) WHERE finished_at IS NULL;

-- Locks: a row that nobody else holds.
CREATE FUNCTION dd_tally_tenant_v1(t uuid, jobs bigint, bytes bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE mine bigint;
BEGIN
  SELECT y.id INTO mine FROM tenant_tally y WHERE y.tenant_id = t LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
  IF mine IS NULL THEN
    INSERT INTO tenant_tally (tenant_id, queued, stored) VALUES (t, jobs, bytes);
  ELSE
    UPDATE tenant_tally SET queued = queued + jobs, stored = stored + bytes WHERE id = mine;
  END IF;
END $$;

-- What a tenant has, in one snapshot.
CREATE FUNCTION dd_tenant_has_v1(t uuid) RETURNS TABLE (queued bigint, stored bigint) LANGUAGE sql STABLE AS $$
  SELECT coalesce(sum(x.queued), 0)::bigint, coalesce(sum(x.stored), 0)::bigint
    FROM (SELECT c.queued, c.stored FROM tenant_count c WHERE c.tenant_id = t
          UNION ALL SELECT y.queued, y.stored FROM tenant_tally y WHERE y.tenant_id = t) x $$;

-- Counts a tenant's waiting jobs, up to one more than its quota, and folds in what of its tally nobody holds. All is of one snapshot, and
-- so is what is left in the tally, which the count leaves out. Nothing where another one counts.
-- Locks: the count, rows of the tally, waiting for nobody.
CREATE FUNCTION dd_count_tenant_v1(t uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE most bigint; mine bigint[];
BEGIN
  INSERT INTO tenant_count (tenant_id) VALUES (t) ON CONFLICT DO NOTHING;
  PERFORM 1 FROM tenant_count c WHERE c.tenant_id = t FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN; END IF;
  SELECT q.max_queued_jobs INTO most FROM tenant q WHERE q.id = t;
  mine := ARRAY(SELECT y.id FROM tenant_tally y WHERE y.tenant_id = t FOR UPDATE SKIP LOCKED);
  WITH folded AS (DELETE FROM tenant_tally y WHERE y.id = ANY (mine) RETURNING y.stored),
  total AS (SELECT coalesce(sum(f.stored), 0) AS stored FROM folded f),
  waiting AS MATERIALIZED (
    SELECT count(*) AS n FROM (
      SELECT FROM job j WHERE j.tenant_id = t AND j.batch_id IS NULL AND j.state IN ('scheduled', 'pending', 'queued', 'dispatched')
       LIMIT coalesce(most + 1, 0)) x),
  left_over AS MATERIALIZED (
    SELECT coalesce(sum(y.queued), 0) AS n FROM tenant_tally y WHERE y.tenant_id = t AND NOT y.id = ANY (mine))
  UPDATE tenant_count c SET queued = w.n - l.n, stored = c.stored + x.stored
    FROM waiting w, left_over l, total x WHERE c.tenant_id = t;
END $$;

-- Tenants of which there is something to count: what came since, or jobs that may have left.
CREATE FUNCTION dd_tenants_to_count_v1() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
  SELECT y.tenant_id FROM tenant_tally y
   UNION SELECT c.tenant_id FROM tenant_count c JOIN tenant q ON q.id = c.tenant_id WHERE q.max_queued_jobs IS NOT NULL AND c.queued > 0 $$;

-- Which quota of stored bytes is used up, in words; NULL: none.
CREATE FUNCTION dd_lacks_storage_v1(t uuid) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT format('stored bytes: %s of %s are used', h.stored, q.max_storage_bytes)
    FROM tenant q CROSS JOIN LATERAL dd_tenant_has_v1(t) h
   WHERE q.id = t AND q.max_storage_bytes IS NOT NULL AND h.stored >= q.max_storage_bytes $$;

CREATE FUNCTION dd_pack_stored_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM dd_tally_tenant_v1(NEW.tenant_id, 0, NEW.bytes);
  ELSIF TG_OP = 'DELETE' THEN
    PERFORM dd_tally_tenant_v1(OLD.tenant_id, 0, -OLD.bytes);
  ELSE
    PERFORM dd_tally_tenant_v1(NEW.tenant_id, 0,
      CASE WHEN NEW.state = 'deleted' THEN 0 ELSE NEW.bytes END - CASE WHEN OLD.state = 'deleted' THEN 0 ELSE OLD.bytes END);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER stored AFTER INSERT ON pack FOR EACH ROW WHEN (NEW.state <> 'deleted') EXECUTE FUNCTION dd_pack_stored_v1();
CREATE TRIGGER stored_no_more AFTER DELETE ON pack FOR EACH ROW WHEN (OLD.state <> 'deleted') EXECUTE FUNCTION dd_pack_stored_v1();
CREATE TRIGGER stored_otherwise AFTER UPDATE OF bytes, state ON pack FOR EACH ROW
  WHEN (OLD.bytes <> NEW.bytes OR (OLD.state = 'deleted') <> (NEW.state = 'deleted')) EXECUTE FUNCTION dd_pack_stored_v1();

CREATE FUNCTION dd_log_stored_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM dd_tally_tenant_v1((SELECT j.tenant_id FROM job j WHERE j.id = NEW.job_id), 0, NEW.log_bytes - OLD.log_bytes);
  RETURN NULL;
END $$;
CREATE TRIGGER stored AFTER UPDATE OF log_bytes ON attempt FOR EACH ROW
  WHEN (OLD.log_bytes <> NEW.log_bytes) EXECUTE FUNCTION dd_log_stored_v1();

-- What is stored so far. The triggers keep others from writing until this is committed.
INSERT INTO tenant_count (tenant_id, stored)
SELECT x.tenant_id, sum(x.bytes)
  FROM (SELECT k.tenant_id, k.bytes FROM pack k WHERE k.state <> 'deleted'
        UNION ALL SELECT j.tenant_id, a.log_bytes FROM attempt a JOIN job j ON j.id = a.job_id WHERE a.log_bytes > 0) x
 GROUP BY 1;

-- As the second version, all quotas in one: {max_projects, max_running, max_queued_jobs, max_held_jobs, max_storage_bytes}. What is not given
-- stays, 0 is none. A quota of waiting jobs counts from now on.
CREATE FUNCTION dd_change_tenant_v3(t uuid, wanted int[], n text, w int, off boolean, quotas jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text; old tenant; after tenant;
BEGIN
  answer := dd_change_tenant_v1(t, wanted, n, w, off);
  IF answer <> 'done' THEN RETURN answer; END IF;
  SELECT * INTO old FROM tenant WHERE id = t FOR NO KEY UPDATE;
  after := jsonb_populate_record(old, (
    SELECT coalesce(jsonb_object_agg(u.key, nullif(u.value, '0')), '{}') FROM jsonb_each(jsonb_strip_nulls(quotas)) u));
  UPDATE tenant q
     SET max_projects = after.max_projects, max_running = after.max_running, max_queued_jobs = after.max_queued_jobs,
         max_held_jobs = after.max_held_jobs, max_storage_bytes = after.max_storage_bytes, revision = q.revision + 1
   WHERE q.id = t AND after IS DISTINCT FROM old;
  IF after.max_queued_jobs IS DISTINCT FROM old.max_queued_jobs THEN
    -- Waits for one that counts with the old quota.
    PERFORM 1 FROM tenant_count c WHERE c.tenant_id = t FOR NO KEY UPDATE;
    PERFORM dd_count_tenant_v1(t);
  END IF;
  RETURN answer;
END $$;
