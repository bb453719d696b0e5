-- A project, empty until its first version: made with its initial job, or by import.
CREATE FUNCTION dd_create_project_v1(p uuid, t uuid, i text, a text, po text, l jsonb, iso text)
RETURNS void LANGUAGE sql AS $$
  INSERT INTO project (id, tenant_id, instruction, agent, pool, labels, min_isolation)
  VALUES (p, t, i, a, po, l, iso::isolation) $$;
