-- Who of an issuer's subjects is which user. A subject is never given to somebody else (OIDC Core 1.0, §2); an address may be, so
-- nobody is found by theirs.
CREATE TABLE user_identity (
  tenant_id uuid NOT NULL REFERENCES tenant,
  issuer text NOT NULL,
  subject text NOT NULL,
  user_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (tenant_id, issuer, subject),
  FOREIGN KEY (tenant_id, user_id) REFERENCES user_account (tenant_id, id)
);
CREATE INDEX user_identity_of ON user_identity (user_id);

-- Not every issuer tells one that it has looked at. Only builds that know issuers make users without: turn them on once all are upgraded.
ALTER TABLE user_account ALTER email DROP NOT NULL;

-- Who `sub` of `iss` is in the tenant of this name. Who comes for the first time becomes a user with the given role, and with the given
-- address if nobody has it: whoever has it is somebody else. No row: no such tenant. `its_user` is NULL where the tenant is disabled and
-- nobody was made. Somebody new is in the audit log, as the record `note`.
-- Locks: tenant, for somebody new, so that of two first tokens one makes the user.
CREATE FUNCTION dd_sign_in_v1(its_name text, iss text, sub text, fresh uuid, called text, address text, given_role text, note uuid)
RETURNS TABLE (home uuid, its_user uuid, its_role text, user_off boolean, tenant_off boolean) LANGUAGE plpgsql AS $$
BEGIN
  SELECT q.id, q.disabled_at IS NOT NULL INTO home, tenant_off FROM tenant q WHERE q.name = its_name;
  IF NOT FOUND THEN RETURN; END IF;
  FOR pass IN 1..2 LOOP
    SELECT a.id, a.role, a.disabled_at IS NOT NULL INTO its_user, its_role, user_off
      FROM user_identity i JOIN user_account a ON a.id = i.user_id WHERE i.tenant_id = home AND i.issuer = iss AND i.subject = sub;
    IF FOUND OR tenant_off THEN
      RETURN NEXT; RETURN;
    END IF;
    -- The second round finds who was made while this one waited.
    IF pass = 1 THEN PERFORM FROM tenant q WHERE q.id = home FOR NO KEY UPDATE; END IF;
  END LOOP;
  INSERT INTO user_account (id, tenant_id, name, email, role) VALUES (fresh, home, called, address, given_role)
  ON CONFLICT (tenant_id, lower(email)) DO NOTHING;
  IF NOT FOUND THEN
    INSERT INTO user_account (id, tenant_id, name, role) VALUES (fresh, home, called, given_role);
  END IF;
  INSERT INTO user_identity (tenant_id, issuer, subject, user_id) VALUES (home, iss, sub, fresh);
  PERFORM dd_audit_v1(ARRAY[json_build_object(
    'id', note, 'tenant_id', home, 'at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'action', 'user.sign_up', 'actor', json_build_object('kind', 'token', 'user', fresh), 'outcome', 'done', 'created', fresh)::text]);
  its_user := fresh; its_role := given_role; user_off := false;
  RETURN NEXT;
END $$;
