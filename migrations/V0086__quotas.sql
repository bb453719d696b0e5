-- Quotas of a tenant; NULL: none. `max_running`, the most slots it holds at once, is older, and so far was set by hand.
ALTER TABLE tenant ADD max_projects int CHECK (max_projects > 0);

-- A new project beyond its tenant's quota is refused when its transaction commits, whatever made it: a request that turns out to be a
-- repeated one has been undone by then. SQLSTATE DD429, DETAIL {quota, limit}. Tenants with a quota commit their projects one after the
-- other, so that no two take the last place; of the others nothing is counted. The count ends at the quota.
-- Locks: the tenant, last of all.
CREATE FUNCTION dd_project_quota_v1() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE most int; used bigint;
BEGIN
  SELECT q.max_projects INTO most FROM tenant q WHERE q.id = NEW.tenant_id;
  IF most IS NULL THEN RETURN NULL; END IF;
  SELECT q.max_projects INTO most FROM tenant q WHERE q.id = NEW.tenant_id FOR NO KEY UPDATE;
  SELECT count(*) INTO used FROM (SELECT FROM project p WHERE p.tenant_id = NEW.tenant_id AND p.deleted_at IS NULL LIMIT most + 1) x;
  IF used > most THEN
    RAISE EXCEPTION 'tenant % has its % projects', NEW.tenant_id, most
      USING ERRCODE = 'DD429', DETAIL = format('projects: %s of %s are used', used - 1, most);
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER project_quota AFTER INSERT ON project DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION dd_project_quota_v1();

-- As the first version, and quotas: NULL stays, 0 is none.
CREATE FUNCTION dd_change_tenant_v2(t uuid, wanted int[], n text, w int, off boolean, projects int, running int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text;
BEGIN
  answer := dd_change_tenant_v1(t, wanted, n, w, off);
  IF answer = 'done' THEN
    UPDATE tenant q
       SET max_projects = CASE WHEN projects IS NULL THEN q.max_projects ELSE nullif(projects, 0) END,
           max_running = CASE WHEN running IS NULL THEN q.max_running ELSE nullif(running, 0) END, revision = q.revision + 1
     WHERE q.id = t AND (projects IS NOT NULL AND nullif(projects, 0) IS DISTINCT FROM q.max_projects
                      OR running IS NOT NULL AND nullif(running, 0) IS DISTINCT FROM q.max_running);
  END IF;
  RETURN answer;
END $$;
