-- Claims, and finishes, of one worker in one transaction: a commit, which waits for the disk, is the dearest part of a short job.
-- Each is answered as it would be alone, at its place (from 1). A group waits for no project and no job that somebody else holds: what
-- belongs to one is answered NULL, and to be asked for alone. What spoils one of a group spoils the call: ask again for each alone.
-- So does a wait of a second for one of the rows that are left (the worker, attempts, edges), which others hold for milliseconds.

-- Locks: jobs, worker.
CREATE FUNCTION dd_claim_group_v1(jobs uuid[], seqs int[], attempts uuid[], w uuid, paths text[])
RETURNS TABLE (place int, outcome text, attempt_number smallint, base int, base_manifest bytea, at timestamptz, spec jsonb)
LANGUAGE plpgsql AS $$
DECLARE held uuid[]; others uuid[]; impatient text := set_config('lock_timeout', '1s', true);
BEGIN
  held := ARRAY(SELECT j.id FROM job j WHERE j.id = ANY (jobs) AND j.state = 'dispatched' FOR UPDATE SKIP LOCKED);
  -- A ticket whose job is not dispatched is old, and needs no lock to be told so.
  others := ARRAY(SELECT j.id FROM job j WHERE j.id = ANY (jobs) AND j.state = 'dispatched' AND NOT j.id = ANY (held));
  RETURN QUERY
  SELECT a.n::int, c.* FROM unnest(jobs, seqs, attempts, paths) WITH ORDINALITY AS a (job, seq, attempt, path, n)
   CROSS JOIN LATERAL dd_claim_v2(a.job, a.seq, a.attempt, w, a.path) c WHERE NOT a.job = ANY (others)
  UNION ALL
  SELECT a.n::int, NULL, NULL, NULL, NULL, NULL, NULL FROM unnest(jobs) WITH ORDINALITY AS a (job, n) WHERE a.job = ANY (others);
END $$;

-- Finishes with a tree go alone: packs of two trees may be the same, and are not locked in one order.
-- Locks: projects, jobs, attempts (in id order, as a renewal does), edges.
CREATE FUNCTION dd_finish_group_v1(jobs uuid[], attempts uuid[], kinds text[], reports jsonb[], trees jsonb[], tail_seqs int[],
  tail_offsets bigint[], tails bytea[], said jsonb[])
RETURNS TABLE (place int, answer text) LANGUAGE plpgsql AS $$
DECLARE projects uuid[]; held uuid[]; impatient text := set_config('lock_timeout', '1s', true);
BEGIN
  projects := ARRAY(SELECT p.id FROM project p WHERE p.id IN (SELECT j.project_id FROM job j WHERE j.id = ANY (jobs))
                       FOR NO KEY UPDATE SKIP LOCKED);
  held := ARRAY(SELECT j.id FROM job j WHERE j.id = ANY (jobs) AND j.project_id = ANY (projects) FOR UPDATE SKIP LOCKED);
  IF cardinality(held) > 1 THEN
    PERFORM 1 FROM attempt t WHERE t.id = ANY (attempts) AND t.job_id = ANY (held) ORDER BY t.id FOR UPDATE;
    PERFORM dd_hold_edges_v1(held);
  END IF;
  RETURN QUERY
  SELECT a.n::int, CASE WHEN a.job = ANY (held) THEN
           dd_finish_v2(a.job, a.attempt, a.kind, a.report, a.tree, a.tail_seq, a.tail_offset, a.tail, a.said) END
    FROM unnest(jobs, attempts, kinds, reports, trees, tail_seqs, tail_offsets, tails, said)
         WITH ORDINALITY AS a (job, attempt, kind, report, tree, tail_seq, tail_offset, tail, said, n);
END $$;
