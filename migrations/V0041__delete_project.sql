-- Cancels up to `most` jobs of a project; those that run are told, and end soon. Returns how many were not over.
-- Locks: jobs in id order, edges. The caller holds the project row.
CREATE FUNCTION dd_cancel_jobs_v1(p uuid, most int, reason text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE jobs uuid[]; jid uuid; t uuid;
BEGIN
  SELECT tenant_id INTO STRICT t FROM project WHERE id = p;
  jobs := ARRAY(SELECT j.id FROM job j WHERE j.project_id = p AND j.finished_at IS NULL AND j.cancel_at IS NULL
                 ORDER BY j.id LIMIT most FOR UPDATE);
  IF cardinality(jobs) = 0 THEN RETURN 0; END IF;
  PERFORM dd_hold_edges_v1(jobs);
  -- Those that wait go first: the end of an active one would hand its place to the next.
  FOR jid IN SELECT j.id FROM job j WHERE j.id = ANY (jobs) ORDER BY (j.state NOT IN ('scheduled', 'pending')), j.id LOOP
    PERFORM dd_cancel_v1(t, jid, reason);
  END LOOP;
  RETURN cardinality(jobs);
END $$;

-- Delete a project: it is seen no more, takes no jobs, fires no schedules; up to `most` of its jobs are cancelled at once.
-- Answers: deleted (or it was before) | more (call again: not all of its jobs are cancelled) | no_project.
-- Its files are freed by the collector. Locks: schedules (as a firing does, before the project), project, then those of the cancel.
CREATE FUNCTION dd_delete_project_v1(t uuid, p uuid, most int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  -- One made after this statement fires into nothing.
  UPDATE schedule SET deleted_at = clock_timestamp() WHERE project_id = p AND tenant_id = t AND deleted_at IS NULL;
  PERFORM 1 FROM project WHERE id = p AND tenant_id = t FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN 'no_project'; END IF;
  UPDATE project SET deleted_at = clock_timestamp() WHERE id = p AND deleted_at IS NULL;
  RETURN CASE WHEN dd_cancel_jobs_v1(p, most, 'the project was deleted') < most THEN 'deleted' ELSE 'more' END;
END $$;

-- One deleted project that still names objects: cancels what was left running, drops its versions and trees, at most `most` of each.
-- Answers NULL where there is none to be freed, else how many rows were dropped; what running attempts need waits for their end.
-- Locks: project, jobs, edges, versions, attempts, objects.
CREATE FUNCTION dd_free_project_v1(after timestamptz, most int) RETURNS TABLE (deleted timestamptz, dropped int, freed boolean) LANGUAGE plpgsql AS $$
DECLARE p project; trees uuid[];
BEGIN
  SELECT * INTO p FROM project WHERE deleted_at > after AND freed_at IS NULL ORDER BY deleted_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
  IF NOT FOUND THEN RETURN; END IF;
  PERFORM dd_cancel_jobs_v1(p.id, most, 'the project was deleted');
  dropped := dd_expire_versions_v1(p.id, ARRAY(
    SELECT v.number FROM version v WHERE v.project_id = p.id AND v.expired_at IS NULL ORDER BY v.number LIMIT most));
  trees := ARRAY(SELECT a.id FROM job j JOIN attempt a ON a.job_id = j.id
    WHERE j.project_id = p.id AND a.manifest_id IS NOT NULL AND a.tree_expired_at IS NULL ORDER BY a.id LIMIT most FOR NO KEY UPDATE OF a);
  dropped := dropped + dd_drop_trees_v1(trees);
  freed := NOT EXISTS (SELECT FROM job j WHERE j.project_id = p.id AND j.finished_at IS NULL)
       AND NOT EXISTS (SELECT FROM version v WHERE v.project_id = p.id AND v.expired_at IS NULL)
       AND NOT EXISTS (SELECT FROM job j JOIN attempt a ON a.job_id = j.id
                        WHERE j.project_id = p.id AND (a.log_bytes > 0 OR a.manifest_id IS NOT NULL AND a.tree_expired_at IS NULL));
  IF freed THEN UPDATE project SET freed_at = clock_timestamp() WHERE id = p.id; END IF;
  deleted := p.deleted_at;
  RETURN NEXT;
END $$;
