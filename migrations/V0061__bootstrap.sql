-- The first key, which nobody can ask the API for: an admin's, of the tenant named. Where there is a key already only with `again`.
-- Returns 'made', 'keys_exist' or 'no_tenant'. The lock waits for keys that are just being made and lets no other bootstrap beside it.
CREATE FUNCTION dd_bootstrap_v1(key uuid, tenant_name text, key_name text, key_prefix text, key_hash bytea, again boolean)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  LOCK TABLE api_key IN SHARE ROW EXCLUSIVE MODE;
  IF NOT again AND EXISTS (SELECT FROM api_key) THEN RETURN 'keys_exist'; END IF;
  INSERT INTO api_key (id, tenant_id, name, prefix, hash, role)
  SELECT key, t.id, key_name, key_prefix, key_hash, 'admin' FROM tenant t WHERE t.name = tenant_name;
  RETURN CASE WHEN FOUND THEN 'made' ELSE 'no_tenant' END;
END $$;
