-- What the collector needs to know. Every stored object has a row here before it is an object: packs, and manifests too (ids are
-- hashes of the stored bytes, so the two never meet). Its states:
--   uploading  announced; somebody may be about to put it into the bucket
--   live       something names it, or did; once something that named it is dropped, it is suspect
--   condemned  nothing names it; the bytes are there, and whoever needs it makes it live again
--   deleted    the bytes are going or gone; nobody may name it; the row goes when they are
ALTER TABLE pack
  ADD kind text NOT NULL DEFAULT 'pack' CHECK (kind IN ('pack', 'manifest')),
  -- Who uploads it; NULL for the API.
  ADD attempt_id uuid REFERENCES attempt,
  -- When it entered its state. In `deleted` also the token of whoever deletes it.
  ADD state_at timestamptz NOT NULL DEFAULT now(),
  ADD suspect_since timestamptz,
  -- How often it was condemned and needed after all.
  ADD revivals int NOT NULL DEFAULT 0;
CREATE INDEX pack_unsettled ON pack (state, state_at) WHERE state <> 'live';
CREATE INDEX pack_suspect ON pack (suspect_since) WHERE state = 'live' AND suspect_since IS NOT NULL;

-- What is kept of a project's history: the newest `keep_versions`, and those younger than `keep_for_s`; where both are set, what either
-- keeps; where neither is, what the tenant says; where it says nothing, everything. The head is always kept.
ALTER TABLE tenant ADD keep_versions int CHECK (keep_versions > 0), ADD keep_for_s seconds;
ALTER TABLE project ADD keep_versions int CHECK (keep_versions > 0), ADD keep_for_s seconds,
  -- Deleted, and nothing of it is named any more.
  ADD freed_at timestamptz;
CREATE INDEX project_to_free ON project (deleted_at) WHERE deleted_at IS NOT NULL AND freed_at IS NULL;

-- A version that is dropped keeps its row: its number, author and size stay in the history, its files are gone.
ALTER TABLE version ADD expired_at timestamptz;
-- What retention looks through: not what it dropped already.
CREATE INDEX version_kept ON version (project_id, number) WHERE expired_at IS NULL;
-- Who names an object: asked for each that is suspect.
CREATE INDEX version_objects ON version USING gin ((pack_ids || manifest_id)) WITH (gin_pending_list_limit = 256) WHERE expired_at IS NULL;

ALTER TABLE attempt ADD pack_ids bytea[], ADD tree_expired_at timestamptz;
CREATE INDEX attempt_objects ON attempt USING gin ((pack_ids || manifest_id)) WITH (gin_pending_list_limit = 256)
  WHERE manifest_id IS NOT NULL AND tree_expired_at IS NULL;
CREATE INDEX attempt_tree ON attempt (finished_at) WHERE manifest_id IS NOT NULL AND tree_expired_at IS NULL;

-- Manifests stored so far; their sizes were not kept. What an old attempt's tree needs besides its manifest was not kept either: its
-- packs are never suspected, and so stay.
INSERT INTO pack (tenant_id, id, kind, bytes, state)
SELECT p.tenant_id, v.manifest_id, 'manifest', 0, 'live' FROM version v JOIN project p ON p.id = v.project_id
 UNION SELECT j.tenant_id, a.manifest_id, 'manifest', 0, 'live' FROM attempt a JOIN job j ON j.id = a.job_id WHERE a.manifest_id IS NOT NULL
ON CONFLICT DO NOTHING;
