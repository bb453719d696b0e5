-- The audit log: who asked for what, and what came of it. Records are only ever added; the leader chains them afterwards, so that no
-- request waits for another one's hash.

-- No reference to anything: a record outlives what it tells of.
CREATE TABLE audit_record (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  at timestamptz NOT NULL,
  -- Kept letter by letter as it was written: the hashes are over this text.
  record json NOT NULL,
  -- The record whose outcome this one is; those of jobs have theirs in them.
  answers uuid GENERATED ALWAYS AS ((record ->> 'answers')::uuid) STORED,
  action text GENERATED ALWAYS AS (record ->> 'action') STORED,
  -- What it was asked of, and what it made.
  target uuid GENERATED ALWAYS AS ((record ->> 'target')::uuid) STORED,
  created uuid GENERATED ALWAYS AS ((record ->> 'created')::uuid) STORED,
  key_id uuid GENERATED ALWAYS AS ((record -> 'actor' ->> 'key')::uuid) STORED,
  user_id uuid GENERATED ALWAYS AS ((record -> 'actor' ->> 'user')::uuid) STORED
);
CREATE INDEX audit_record_list ON audit_record (tenant_id, at DESC, id DESC) WHERE answers IS NULL;
CREATE UNIQUE INDEX audit_record_answers ON audit_record (answers) WHERE answers IS NOT NULL;
CREATE INDEX audit_record_target ON audit_record (tenant_id, target) WHERE target IS NOT NULL;
CREATE INDEX audit_record_created ON audit_record (tenant_id, created) WHERE created IS NOT NULL;

-- What is not in its tenant's chain yet.
CREATE TABLE audit_pending (id uuid PRIMARY KEY);

-- One chain a tenant, without gaps: each hash is SHA-256 of the hash before in lower-case hex (64 zeros before the first), a line feed
-- and the record's text in UTF-8.
CREATE TABLE audit_chain (
  tenant_id uuid NOT NULL,
  position bigint NOT NULL CHECK (position > 0),
  -- No reference, which would write to every record once more: nobody can delete one.
  record_id uuid NOT NULL UNIQUE,
  hash bytea NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (tenant_id, position)
);

CREATE FUNCTION dd_append_only_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_record_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_record
  FOR EACH STATEMENT EXECUTE FUNCTION dd_append_only_v1();
CREATE TRIGGER audit_chain_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_chain
  FOR EACH STATEMENT EXECUTE FUNCTION dd_append_only_v1();

CREATE FUNCTION dd_audit_pend_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO audit_pending (id) SELECT n.id FROM new_records n;
  RETURN NULL;
END $$;
CREATE TRIGGER audit_record_pend AFTER INSERT ON audit_record
  REFERENCING NEW TABLE AS new_records FOR EACH STATEMENT EXECUTE FUNCTION dd_audit_pend_v1();

-- Adds records, each a JSON text with id, tenant_id and at. One that is there already stays as it is, and so does an outcome.
CREATE FUNCTION dd_audit_v1(texts text[]) RETURNS void LANGUAGE sql AS $$
  INSERT INTO audit_record (id, tenant_id, at, record)
  SELECT (r ->> 'id')::uuid, (r ->> 'tenant_id')::uuid, (r ->> 'at')::timestamptz, r
    FROM (SELECT t::json AS r FROM unnest(texts) t) x
  ON CONFLICT DO NOTHING
$$;

-- Chains up to `most` records, the oldest first, and tells how many. The lock keeps a second one from chaining the same beside it.
CREATE FUNCTION dd_audit_chain_v1(most int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE one record; owner uuid; place bigint; link bytea; chained int := 0;
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('drydock audit chain')) THEN RETURN 0; END IF;
  FOR one IN
    WITH taken AS (
      DELETE FROM audit_pending WHERE id IN (SELECT p.id FROM audit_pending p ORDER BY p.id LIMIT most) RETURNING id)
    SELECT a.id, a.tenant_id, a.record::text AS text FROM taken t JOIN audit_record a ON a.id = t.id
     -- Whatever put it there: what is chained already must not stop the others.
     WHERE NOT EXISTS (SELECT FROM audit_chain c WHERE c.record_id = a.id)
     ORDER BY a.tenant_id, a.at, a.id
  LOOP
    IF owner IS DISTINCT FROM one.tenant_id THEN
      owner := one.tenant_id;
      SELECT c.position, c.hash INTO place, link FROM audit_chain c WHERE c.tenant_id = owner ORDER BY c.position DESC LIMIT 1;
      IF NOT FOUND THEN place := 0; link := decode(repeat('00', 32), 'hex'); END IF;
    END IF;
    place := place + 1;
    link := sha256(convert_to(encode(link, 'hex') || E'\n' || one.text, 'UTF8'));
    INSERT INTO audit_chain (tenant_id, position, record_id, hash) VALUES (owner, place, one.id, link);
    chained := chained + 1;
  END LOOP;
  RETURN chained;
END $$;

-- As v1, and in the audit log as the record `note`.
CREATE FUNCTION dd_bootstrap_v2(key uuid, tenant_name text, key_name text, key_prefix text, key_hash bytea, again boolean, note uuid)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE outcome text;
BEGIN
  outcome := dd_bootstrap_v1(key, tenant_name, key_name, key_prefix, key_hash, again);
  IF outcome = 'made' THEN
    PERFORM dd_audit_v1(ARRAY[json_build_object(
        'id', note, 'tenant_id', t.id, 'at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'action', 'key.bootstrap', 'actor', json_build_object('kind', 'operator'), 'outcome', 'done', 'created', key)::text])
       FROM tenant t WHERE t.name = tenant_name;
  END IF;
  RETURN outcome;
END $$;
