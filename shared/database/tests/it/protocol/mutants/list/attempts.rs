//! Mutants of what claims, ends and takes back attempts.

use super::*;

pub(super) fn claim() -> Vec<Mutant> {
    const F: &str = "dd_claim_v4";
    vec![
        dies(F, "WHERE id = jid AND state = 'dispatched' AND", "WHERE id = jid AND"),
        dies(F, " AND dispatch_seq = seq", ""),
        lives(F, " AND cancel_at IS NULL", "", NEVER_CANCELLED),
        dies(F, " AND cancel_at IS NULL FOR UPDATE", ""),
        dies(F, "ended_at IS NULL AND ", ""),
        dies(F, " AND NOT draining", ""),
        dies(F, " AND lease_until > clock_timestamp()", ""),
        dies(F, "clock_timestamp() FOR SHARE", "clock_timestamp()"),
        dies(F, "NOT dd_suits_v1(wk, j)", "false"),
        dies(F, "j.attempts + 1", "j.attempts + 2"),
        dies(F, "attempts = attempts + 1,", ""),
        dies(F, ", redispatches = 0", ""),
        dies(F, "coalesce(started_at, began)", "began"),
        dies(F, " AND t.job_id = jid", ""),
        dies(F, " AND t.worker_id = w", ""),
        dies(F, " AND t.state = 'running')", ")"),
        dies(F, " AND v.number = t.base_version", ""),
        dies(F, "PERFORM dd_status_event_v2(j, 'materializing');", ""),
    ]
}

pub(super) fn finish() -> Vec<Mutant> {
    const F: &str = "dd_finish_v5";
    vec![
        dies(F, " FOR NO KEY UPDATE OF p", ""),
        lives(F, "WHERE id = jid FOR UPDATE", "WHERE id = jid", UNDER_PROJECT),
        lives(F, "job_id = jid FOR UPDATE", "job_id = jid", UNDER_PROJECT),
        dies(F, "WHERE id = a AND job_id = jid", "WHERE id = a"),
        lives(F, "t.state <> 'running' AND ", "", "no outcome is called running"),
        dies(F, " AND t.state IN (ended, 'conflict', 'canceled')", ""),
        dies(F, "IN (ended, 'conflict', 'canceled')", "IN ('conflict', 'canceled')"),
        dies(F, "(ended, 'conflict', 'canceled')", "(ended, 'canceled')"),
        dies(F, "(ended, 'conflict', 'canceled')", "(ended, 'conflict')"),
        lives(F, " AND j.current_attempt IS DISTINCT FROM a", "", "an attempt that is over is nobody's current one"),
        lives(F, "j.state IS DISTINCT FROM 'running' OR ", "", CURRENT_RUNS),
        dies(F, " OR j.current_attempt IS DISTINCT FROM a THEN", " THEN"),
        dies(F, "IF j.cancel_at IS NOT NULL THEN ended := 'canceled'; END IF;", ""),
        dies(F, "tree IS NOT NULL AND NOT j.read_only", "NOT j.read_only"),
        dies(F, " AND NOT j.read_only", ""),
        dies(F, "ended = 'succeeded' OR ", ""),
        dies(F, "ended IN ('failed', 'timeout') AND j.keep", "ended = 'failed' AND j.keep"),
        dies(F, "ended IN ('failed', 'timeout') AND j.keep", "ended = 'timeout' AND j.keep"),
        dies(F, " AND j.keep_on_error", ""),
        dies(F, " AND j.failures >= j.retries", ""),
        dies(F, "IF publish AND head <> t.base_version", "IF false"),
        dies(F, "IF publish AND head", "IF head"),
        dies(F, "'conflict'; publish := false;", "'conflict';"),
        dies(F, "UPDATE project SET head_version = made WHERE id = j.project_id;", ""),
        dies(F, "manifest_id = CASE WHEN NOT publish THEN decode(tree ->> 'manifest_id', 'hex') END,", ""),
        dies(F, "report ->> 'output', made,", "report ->> 'output', NULL,"),
        dies(F, "RETURN CASE ended WHEN 'conflict' THEN 'conflict' ELSE 'ok' END", "RETURN 'ok'"),
    ]
}

pub(super) fn end_attempt() -> Vec<Mutant> {
    const F: &str = "dd_end_attempt_v2";
    vec![
        dies(F, "kind IN ('failed', 'timeout')", "kind = 'failed'"),
        dies(F, "kind IN ('failed', 'timeout')", "kind = 'timeout'"),
        dies(F, "(kind = 'infra')::int", "0"),
        dies(F, "(kind = 'conflict')::int", "0"),
        dies(F, "(kind = 'lost')::int", "0"),
        dies(F, "WHEN kind = 'succeeded' THEN 'succeeded'", "WHEN false THEN 'succeeded'"),
        dies(F, "kind = 'canceled' OR ", ""),
        dies(F, "OR j.cancel_at IS NOT NULL THEN", "THEN"),
        dies(F, "f > j.retries", "f >= j.retries AND f > 0"),
        dies(F, "f > j.retries", "f > j.retries + 1"),
        dies(F, "WHEN f > j.retries THEN 'failed'", ""),
        dies(F, "i >= 20", "i >= 21"),
        dies(F, "i >= 20", "i >= 19"),
        dies(F, "c >= 5", "c >= 6"),
        dies(F, "c >= 5", "c >= 4"),
        dies(F, "x >= 3", "x >= 4"),
        dies(F, "x >= 3", "x >= 2"),
        dies(F, "('interrupted', 'conflict')", "('interrupted')"),
        dies(F, "('interrupted', 'conflict')", "('conflict')"),
        dies(F, "WHEN 1 THEN interval '0'", "WHEN 1 THEN interval '10 s'"),
        dies(F, "WHEN 2 THEN interval '10 s'", "WHEN 2 THEN interval '0'"),
        lives(
            F,
            "ELSE interval '30 s'",
            "ELSE interval '0'",
            "the third loss is the end: the wait is computed and not used",
        ),
        dies(
            F,
            "least(interval '10 min', interval '1 s' * power(2, least(f + i, 10)))",
            "interval '1 s' * power(2, least(f + i, 10))",
        ),
        dies(F, "least(f + i, 10)", "f + i"),
        dies(F, "least(f + i, 10)", "least(f, 10)"),
        dies(F, "(0.5 + random())", "(2.5 + random())"),
        dies(F, "backing_off = s = 'queued' AND wait > interval '0',", ""),
        dies(F, "s = 'queued' AND wait > interval '0'", "wait > interval '0'"),
        dies(F, " AND wait > interval '0'", ""),
        dies(F, "IF s <> 'queued' THEN PERFORM dd_settle_v1(after); END IF;", ""),
        dies(F, "CASE WHEN s <> 'dead' THEN j.errors", "CASE WHEN true THEN j.errors"),
        dies(F, "version = j.version, ", ""),
        dies("dd_settle_v1", "PERFORM dd_promote_v2(j.project_id);", ""),
        dies("dd_settle_v1", "UPDATE job_dependency SET ended = j.state WHERE on_job = j.id AND ended IS NULL;", ""),
        dies("dd_settle_v1", "SET ended = j.state WHERE on_job = j.id AND", "SET ended = j.state WHERE"),
        lives(
            "dd_settle_v1",
            "SET ended = j.state WHERE on_job = j.id AND ended IS NULL",
            "SET ended = j.state WHERE on_job = j.id",
            "a job ends once, so that each of its edges is marked once",
        ),
    ]
}

pub(super) fn promote() -> Vec<Mutant> {
    const F: &str = "dd_promote_v2";
    vec![
        dies(F, "IF writers = 0 AND", "IF"),
        dies(F, " AND taken < 3 AND", " AND"),
        dies(F, " AND writer IS NOT NULL THEN", " THEN"),
        dies(F, "taken := taken + 1;", ""),
        dies(F, "w.project_id = p AND w.state", "w.state"),
        dies(F, "w.state = 'pending' AND NOT w.read_only", "NOT w.read_only"),
        dies(F, "w.state = 'pending' AND NOT w.read_only", "w.state = 'pending'"),
        dies(F, "ORDER BY w.priority DESC, w.created_at", "ORDER BY w.created_at"),
        dies(F, "ORDER BY w.priority DESC, w.created_at, w.id", "ORDER BY w.priority DESC, w.id"),
        lives(F, "IF NOT readers THEN RETURN; END IF;", "", "where no reader waits, the update finds none"),
        dies(F, "AND r.state = 'pending' AND r.read_only)", "AND r.state = 'pending' AND NOT r.read_only)"),
        dies(F, "r.project_id = p AND r.state = 'pending' AND r.read_only\n", "r.state = 'pending' AND r.read_only\n"),
        dies(F, "AND r.state = 'pending' AND r.read_only\n", "AND r.read_only\n"),
        dies(F, "AND r.state = 'pending' AND r.read_only\n", "AND r.state = 'pending'\n"),
        dies(F, "ORDER BY r.priority DESC, r.created_at", "ORDER BY r.created_at"),
        dies(F, "greatest(0, 3 - taken)", "3"),
        dies(F, "greatest(0, 3 - taken)", "greatest(0, 2 - taken)"),
        dies(F, "o.state IN ('queued', 'dispatched', 'running')", "o.state IN ('queued', 'running')"),
        dies(F, "o.project_id = p AND ", ""),
    ]
}

pub(super) fn cancel() -> Vec<Mutant> {
    const F: &str = "dd_cancel_v1";
    vec![
        lives(F, " AND b.tenant_id = t", "", "locks another tenant's project for a moment; the next statement decides"),
        dies(F, "WHERE id = jid AND tenant_id = t", "WHERE id = jid"),
        dies(F, " FOR NO KEY UPDATE OF p", ""),
        dies(F, "AND tenant_id = t FOR UPDATE", "AND tenant_id = t"),
        dies(F, "IF j.finished_at IS NOT NULL THEN RETURN 'final'; END IF;", ""),
        dies(F, "IF j.state = 'running' THEN", "IF false THEN"),
        dies(F, "IF j.cancel_at IS NULL THEN", "IF true THEN"),
        dies(F, "DELETE FROM job_dependency WHERE job_id = jid;", ""),
        dies(F, "backing_off = false, ", ""),
        dies(F, "PERFORM dd_settle_v1(j);", ""),
    ]
}

pub(super) fn reap() -> Vec<Mutant> {
    const F: &str = "dd_reap_v2";
    vec![
        dies(F, " FOR NO KEY UPDATE OF p", ""),
        lives(F, "WHERE id = jid FOR UPDATE", "WHERE id = jid", UNDER_PROJECT),
        lives(F, "j.state IS DISTINCT FROM 'running' OR ", "", CURRENT_RUNS),
        dies(F, " OR j.current_attempt IS DISTINCT FROM a", ""),
        dies(F, " FOR UPDATE OF k", ""),
        dies(F, "w.ended_at IS NULL AND ", ""),
        dies(F, " AND w.lease_until + grace > clock_timestamp()", ""),
        dies(F, "w.lease_until + grace", "w.lease_until"),
        dies(F, "IF s = 'dead' THEN", "IF true THEN"),
        dies(F, "UPDATE job SET output = right(encode(last, 'escape'), 4096)", "UPDATE job SET output = output"),
        dies("dd_end_expired_workers_v1", "ended_at IS NULL AND ", ""),
        dies("dd_end_expired_workers_v1", " + grace", ""),
        dies("dd_worker_start_v4", " AND ended_at IS NULL", " AND false"),
        dies("dd_worker_start_v4", "instance = inst AND ", ""),
    ]
}

pub(super) fn renew() -> Vec<Mutant> {
    const F: &str = "dd_renew_v4";
    vec![
        dies(F, "WHERE id = w AND ended_at IS NULL", "WHERE id = w"),
        dies(
            F,
            "UPDATE worker SET lease_until = clock_timestamp() + ttl",
            "UPDATE worker SET lease_until = lease_until",
        ),
        dies(F, "IF live AND cardinality", "IF cardinality"),
        dies(F, "WHERE live AND a.worker_id", "WHERE a.worker_id"),
        dies(F, "a.id = told.id AND a.worker_id = w AND", "a.id = told.id AND"),
        dies(F, " AND a.state = 'running' AND a.phase", " AND a.phase"),
        dies(F, " AND a.phase IS DISTINCT FROM told.phase::attempt_phase", ""),
        dies(F, "live AND a.worker_id = w AND a.state", "live AND a.state"),
        dies(F, "a.worker_id = w AND a.state = 'running');", "a.worker_id = w);"),
        lives(F, "a.id = ANY (owned) AND j.cancel_at", "j.cancel_at", "the worker asks it of those it owns alone"),
        lives(F, "IF owned <> '{}' THEN", "IF true THEN", "of none, none is cancelled"),
        dies(F, "j.cancel_at IS NOT NULL", "false"),
    ]
}
