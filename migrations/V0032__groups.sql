-- Claims, and finishes, of one worker in one transaction: a commit, which waits for the disk, is the dearest part of a short job.
-- Each is answered as it would be alone, at its place (from 1). Locks are taken as by a single one, but all of a kind before the
-- next kind and each kind in id order, so that two groups never wait for each other. What spoils one of a group spoils the call:
-- ask again for each alone.

-- Locks: jobs, worker.
CREATE FUNCTION dd_claim_group_v1(jobs uuid[], seqs int[], attempts uuid[], w uuid, paths text[])
RETURNS TABLE (place int, outcome text, attempt_number smallint, base int, base_manifest bytea, at timestamptz, spec jsonb)
LANGUAGE plpgsql AS $$
BEGIN
  IF cardinality(jobs) > 1 THEN
    PERFORM 1 FROM job j WHERE j.id = ANY (jobs) AND j.state = 'dispatched' ORDER BY j.id FOR UPDATE;
  END IF;
  RETURN QUERY
  SELECT a.n::int, c.* FROM unnest(jobs, seqs, attempts, paths) WITH ORDINALITY AS a (job, seq, attempt, path, n)
   CROSS JOIN LATERAL dd_claim_v2(a.job, a.seq, a.attempt, w, a.path) c;
END $$;

-- A group waits for no project that somebody else holds: what belongs to one is answered NULL, and to be asked for alone.
-- Finishes with a tree go alone: packs of two trees may be the same, and are not locked in one order.
-- Locks: projects, jobs, attempts, edges.
CREATE FUNCTION dd_finish_group_v1(jobs uuid[], attempts uuid[], kinds text[], reports jsonb[], trees jsonb[], tail_seqs int[],
  tail_offsets bigint[], tails bytea[], said jsonb[])
RETURNS TABLE (place int, answer text) LANGUAGE plpgsql AS $$
DECLARE projects uuid[]; held uuid[] := jobs;
BEGIN
  IF cardinality(jobs) > 1 THEN
    projects := ARRAY(SELECT p.id FROM project p WHERE p.id IN (SELECT j.project_id FROM job j WHERE j.id = ANY (jobs))
                         FOR NO KEY UPDATE SKIP LOCKED);
    held := ARRAY(SELECT j.id FROM job j WHERE j.id = ANY (jobs) AND j.project_id = ANY (projects) ORDER BY j.id FOR UPDATE);
    PERFORM 1 FROM attempt t WHERE t.id = ANY (attempts) AND t.job_id = ANY (held) ORDER BY t.id FOR UPDATE;
    PERFORM dd_hold_edges_v1(held);
  END IF;
  RETURN QUERY
  SELECT a.n::int, CASE WHEN a.job = ANY (held) THEN
           dd_finish_v2(a.job, a.attempt, a.kind, a.report, a.tree, a.tail_seq, a.tail_offset, a.tail, a.said) END
    FROM unnest(jobs, attempts, kinds, reports, trees, tail_seqs, tail_offsets, tails, said)
         WITH ORDINALITY AS a (job, attempt, kind, report, tree, tail_seq, tail_offset, tail, said, n);
END $$;
