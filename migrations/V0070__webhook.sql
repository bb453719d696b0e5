-- Webhooks: whom a tenant wants told when jobs and batches end, and what was told to whom.

CREATE TABLE webhook (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES tenant,
  -- Only the jobs of this one.
  project_id uuid REFERENCES project,
  name text NOT NULL,
  url text NOT NULL,
  -- Empty: all, those of later releases included.
  events text[] NOT NULL DEFAULT '{}',
  -- Sealed with a key that is in no row, and bound to this row's id.
  secret bytea NOT NULL,
  -- The one before it signs as well until then.
  old_secret bytea,
  old_secret_until timestamptz,
  paused boolean NOT NULL DEFAULT false,
  -- Since when no delivery has arrived.
  failing_since timestamptz,
  disabled_at timestamptz,
  disabled_reason text CHECK (disabled_reason IN ('gone', 'failing')),
  -- Counts what people changed.
  revision int NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL)),
  CHECK ((old_secret IS NULL) = (old_secret_until IS NULL))
);
CREATE INDEX webhook_list ON webhook (tenant_id, created_at DESC, id DESC);
-- What the end of a job looks into.
CREATE INDEX webhook_live ON webhook (tenant_id) WHERE NOT paused AND disabled_at IS NULL;
CREATE TRIGGER touch BEFORE UPDATE ON webhook FOR EACH ROW EXECUTE FUNCTION dd_touch_v1();

-- One row for one event and one webhook; its id is the message's. It has no reference to the webhook: jobs that end at the same time
-- would all lock that row.
CREATE TABLE webhook_delivery (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  webhook_id uuid NOT NULL,
  event text NOT NULL,
  job_id uuid,
  batch_id uuid,
  -- What cannot be read from a row of its own later.
  data jsonb,
  state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
  -- When it is sent next. While somebody sends it: until when nobody else does.
  due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  claim uuid,
  -- Its place in the list of pauses, and how often it was sent in all.
  step smallint NOT NULL DEFAULT 0,
  attempts int NOT NULL DEFAULT 0,
  last_at timestamptz,
  last_status int,
  last_error text,
  last_ms int,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz,
  CHECK ((state = 'pending') = (ended_at IS NULL)),
  CHECK (claim IS NULL OR state = 'pending')
) WITH (fillfactor = 70);
CREATE INDEX webhook_delivery_pending ON webhook_delivery (webhook_id, due_at) WHERE state = 'pending';
CREATE INDEX webhook_delivery_sending ON webhook_delivery (webhook_id) WHERE claim IS NOT NULL;
CREATE INDEX webhook_delivery_list ON webhook_delivery (webhook_id, created_at DESC, id DESC);
CREATE INDEX webhook_delivery_ended ON webhook_delivery (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX webhook_delivery_age ON webhook_delivery (created_at);

-- A new webhook, unless its tenant has `most`, or its project is none of the tenant's. Outcomes: created | too_many | no_project.
-- Locks: tenant (creations, one after another; nothing else waits for that).
CREATE FUNCTION dd_webhook_create_v1(t uuid, hook uuid, p uuid, n text, u text, e text[], s bytea, still boolean, most int)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM 1 FROM tenant o WHERE o.id = t FOR NO KEY UPDATE;
  IF p IS NOT NULL AND NOT EXISTS (SELECT FROM project o WHERE o.id = p AND o.tenant_id = t AND o.deleted_at IS NULL) THEN
    RETURN 'no_project';
  END IF;
  IF (SELECT count(*) FROM webhook o WHERE o.tenant_id = t) >= most THEN RETURN 'too_many'; END IF;
  INSERT INTO webhook (id, tenant_id, project_id, name, url, events, secret, paused) VALUES (hook, t, p, n, u, e, s, still);
  RETURN 'created';
END $$;
