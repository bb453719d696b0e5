-- Users and tenants change. `revision` counts the changes: it is the entity tag that a change may ask for.
ALTER TABLE user_account ADD revision int NOT NULL DEFAULT 1;
-- A tenant that is disabled: its keys count no more, nothing of it is admitted or fired. What runs goes on to its end, what waits stays.
ALTER TABLE tenant ADD revision int NOT NULL DEFAULT 1, ADD disabled_at timestamptz;

-- Changes what is given of a user, while its revision is among `wanted` (NULL: whatever it is): done | no_user | stale | last_owner
-- (nobody would be left to manage the tenant's users). Repeating it changes nothing.
-- Locks: tenant, so that of two owners who end each other one stays; user.
CREATE FUNCTION dd_change_user_v1(t uuid, u uuid, wanted int[], n text, r text, off boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE was user_account; role_after text; off_after boolean; owners text[] := '{owner,admin}';
BEGIN
  PERFORM FROM tenant q WHERE q.id = t FOR NO KEY UPDATE;
  SELECT * INTO was FROM user_account a WHERE a.tenant_id = t AND a.id = u FOR UPDATE;
  IF NOT FOUND THEN RETURN 'no_user'; END IF;
  IF was.revision <> ALL (wanted) THEN RETURN 'stale'; END IF;
  role_after := coalesce(r, was.role);
  off_after := coalesce(off, was.disabled_at IS NOT NULL);
  IF was.disabled_at IS NULL AND was.role = ANY (owners) AND (off_after OR role_after <> ALL (owners))
     AND NOT EXISTS (SELECT FROM user_account o WHERE o.tenant_id = t AND o.id <> u AND o.role = ANY (owners) AND o.disabled_at IS NULL) THEN
    RETURN 'last_owner';
  END IF;
  UPDATE user_account a
     SET name = coalesce(n, a.name), role = role_after, revision = a.revision + 1,
         disabled_at = CASE WHEN off_after THEN coalesce(a.disabled_at, clock_timestamp()) END
   WHERE a.id = u AND (a.name, a.role, a.disabled_at IS NOT NULL) IS DISTINCT FROM (coalesce(n, a.name), role_after, off_after);
  RETURN 'done';
END $$;

-- Changes what is given of a tenant, as above: done | no_tenant | stale | name_taken.
-- Locks: tenant; a new name waits for jobs of it that are just being accepted.
CREATE FUNCTION dd_change_tenant_v1(t uuid, wanted int[], n text, w int, off boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE was tenant; off_after boolean;
BEGIN
  SELECT * INTO was FROM tenant q WHERE q.id = t FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN 'no_tenant'; END IF;
  IF was.revision <> ALL (wanted) THEN RETURN 'stale'; END IF;
  off_after := coalesce(off, was.disabled_at IS NOT NULL);
  UPDATE tenant q
     SET name = coalesce(n, q.name), weight = coalesce(w, q.weight), revision = q.revision + 1,
         disabled_at = CASE WHEN off_after THEN coalesce(q.disabled_at, clock_timestamp()) END
   WHERE q.id = t AND (q.name, q.weight, q.disabled_at IS NOT NULL) IS DISTINCT FROM (coalesce(n, q.name), coalesce(w, q.weight), off_after);
  RETURN 'done';
EXCEPTION WHEN unique_violation THEN
  RETURN 'name_taken';
END $$;

-- Fire a schedule as before; of a tenant that is disabled the time passes without a job.
CREATE FUNCTION dd_fire_v2(s uuid, due timestamptz, next_due timestamptz, asked jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM schedule c JOIN tenant q ON q.id = c.tenant_id WHERE c.id = s AND q.disabled_at IS NOT NULL) THEN
    RETURN dd_fire_v1(s, due, next_due, NULL);
  END IF;
  RETURN dd_fire_v1(s, due, next_due, asked);
END $$;
