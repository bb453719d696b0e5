-- Who may ask: users and API keys, each of one tenant.

-- "user" is a reserved word.
CREATE TABLE user_account (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant,
  name text NOT NULL,
  email text NOT NULL,
  -- The most that a key of this user may do.
  role text NOT NULL CHECK (role IN ('viewer', 'member', 'owner', 'operator', 'admin')),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  disabled_at timestamptz,
  -- For the reference from api_key: a key's user is of the key's tenant.
  UNIQUE (tenant_id, id)
);
CREATE UNIQUE INDEX user_account_email ON user_account (tenant_id, lower(email));
CREATE INDEX user_account_list ON user_account (tenant_id, created_at DESC, id DESC);

-- Rows stay: that one exists, revoked and expired ones too, is what makes the API ask for keys at all.
CREATE TABLE api_key (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant,
  user_id uuid,
  name text NOT NULL,
  -- The part of the key's text that is no secret; what it is found by.
  prefix text NOT NULL UNIQUE,
  -- BLAKE3 of the secret, which is 256 random bits: nobody guesses those, however fast the hash. The secret itself is nowhere.
  hash bytea NOT NULL CHECK (length(hash) = 32),
  role text NOT NULL CHECK (role IN ('viewer', 'member', 'owner', 'operator', 'admin')),
  -- Fewer than its role's; empty: all of them.
  scopes text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz,
  last_used_at timestamptz,
  revoked_at timestamptz,
  FOREIGN KEY (tenant_id, user_id) REFERENCES user_account (tenant_id, id)
) WITH (fillfactor = 90);
CREATE INDEX api_key_list ON api_key (tenant_id, created_at DESC, id DESC);
CREATE INDEX tenant_list ON tenant (created_at DESC, id DESC);
