-- Reading the audit log by action or actor: the newest of each action are found without looking at what others did. Names are compared
-- byte by byte, so that those with one beginning stand together.

CREATE INDEX audit_record_action ON audit_record (tenant_id, action COLLATE "C", at DESC, id DESC) WHERE answers IS NULL;
CREATE INDEX audit_record_key ON audit_record (tenant_id, key_id, action COLLATE "C", at DESC, id DESC)
  WHERE answers IS NULL AND key_id IS NOT NULL;
CREATE INDEX audit_record_user ON audit_record (tenant_id, user_id, action COLLATE "C", at DESC, id DESC)
  WHERE answers IS NULL AND user_id IS NOT NULL;
