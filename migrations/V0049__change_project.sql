-- Changes the settings of a project, those that are given; jobs that were accepted before keep what they were accepted with. What is
-- as asked for already is not written, so its `updated_at` stays. Answers whether there is such a project.
CREATE FUNCTION dd_change_project_v1(p uuid, t uuid, i text, a text, po text, l jsonb, iso text)
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  UPDATE project c
     SET instruction = coalesce(i, c.instruction), agent = coalesce(a, c.agent), pool = coalesce(po, c.pool),
         labels = coalesce(l, c.labels), min_isolation = coalesce(iso::isolation, c.min_isolation)
   WHERE c.id = p AND c.tenant_id = t AND c.deleted_at IS NULL
     AND (c.instruction, c.agent, c.pool, c.labels, c.min_isolation)
         IS DISTINCT FROM (coalesce(i, c.instruction), coalesce(a, c.agent), coalesce(po, c.pool), coalesce(l, c.labels),
                           coalesce(iso::isolation, c.min_isolation));
  RETURN FOUND OR EXISTS (SELECT FROM project c WHERE c.id = p AND c.tenant_id = t AND c.deleted_at IS NULL);
END $$;
