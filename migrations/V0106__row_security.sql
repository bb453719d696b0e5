-- Row security, the second line of tenancy: a statement that forgets whose rows it means still sees its own tenant's alone. A connection
-- says whose rows it sees in the setting `drydock.tenant`: a tenant's id, or `*` for every tenant. Until it says so its statements fail,
-- those of builds that do not know of this too, instead of finding nothing.
-- The owner of the tables passes over this (migrations do), and so do the roles of the fleet, which work for every tenant.

-- All tables change at once, and whoever needs one of them waits meanwhile: better often and shortly than once and long.
SELECT set_config('lock_timeout', '200ms', true);

-- Whose rows are seen; NULL for every tenant's.
CREATE FUNCTION dd_tenant_v1() RETURNS uuid LANGUAGE sql STABLE AS $$
  SELECT nullif(current_setting('drydock.tenant'), '*')::uuid
$$;
CREATE FUNCTION dd_every_tenant_v1() RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT current_setting('drydock.tenant') = '*'
$$;

-- Each function in a SELECT of its own is asked once a statement, not once a row.
DO $$
DECLARE name text; whose text;
BEGIN
  FOR name, whose IN VALUES
    ('tenant', 'id'), ('project', 'tenant_id'), ('job', 'tenant_id'), ('pack', 'tenant_id'), ('event', 'tenant_id'),
    ('idempotency', 'tenant_id'), ('schedule', 'tenant_id'), ('held_tree', 'tenant_id'), ('batch', 'tenant_id'),
    ('user_account', 'tenant_id'), ('user_identity', 'tenant_id'), ('api_key', 'tenant_id'), ('webhook', 'tenant_id'),
    ('audit_record', 'tenant_id'), ('audit_chain', 'tenant_id'), ('usage_day', 'tenant_id'), ('tenant_count', 'tenant_id'),
    ('tenant_tally', 'tenant_id')
  LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY tenant_rows ON %I USING ((SELECT dd_every_tenant_v1()) OR %I = (SELECT dd_tenant_v1()))', name, whose);
  END LOOP;
END $$;

-- What belongs to a row of a tenant is seen with it. The row is looked up by its key, once for each that is read: as a value and not by
-- EXISTS, of which PostgreSQL may make a hash of the whole table.
DO $$
DECLARE name text; parent text; child text;
BEGIN
  FOR name, parent, child IN VALUES
    ('attempt', 'job', 'job_id'), ('version', 'project', 'project_id'),
    ('log_chunk', 'attempt', 'attempt_id'), ('firing', 'schedule', 'schedule_id'), ('batch_tally', 'batch', 'batch_id'),
    ('webhook_delivery', 'webhook', 'webhook_id')
  LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('CREATE POLICY tenant_rows ON %1$I
      USING ((SELECT dd_every_tenant_v1()) OR (SELECT true FROM %2$I p WHERE p.id = %1$I.%3$I))', name, parent, child);
  END LOOP;
END $$;

-- An edge is written by the statement that writes its job, whose row no policy can see yet: what it may say is up to the statement.
ALTER TABLE job_dependency ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_rows ON job_dependency
  USING ((SELECT dd_every_tenant_v1()) OR (SELECT true FROM job p WHERE p.id = job_dependency.job_id)) WITH CHECK (true);
