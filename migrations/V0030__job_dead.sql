-- The quarantine is listed without reading what is not in it.
CREATE INDEX job_dead ON job (tenant_id, created_at DESC, id DESC) WHERE state = 'dead';
