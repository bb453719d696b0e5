//! The mutants, by function.

use super::Mutant;

const fn dies(function: &'static str, find: &'static str, put: &'static str) -> Mutant {
    Mutant { function, find, put, redundant: None }
}

const fn lives(function: &'static str, find: &'static str, put: &'static str, reason: &'static str) -> Mutant {
    Mutant { function, find, put, redundant: Some(reason) }
}

pub(super) fn all() -> Vec<Mutant> {
    [
        claim(),
        finish(),
        end_attempt(),
        promote(),
        cancel(),
        reap(),
        renew(),
        tickets(),
        admit(),
        lead(),
        accept(),
        waits(),
        ends_of_waits(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const NEVER_CANCELLED: &str = "no transition leaves cancel_at on a job that neither runs nor is over";
const UNDER_PROJECT: &str = "whoever else changes this row holds the project row as well";
const CURRENT_RUNS: &str = "CHECK ((state = 'running') = (current_attempt IS NOT NULL)) on job";
const HELD: &str = "the row is locked and was in that state when it was";

fn claim() -> Vec<Mutant> {
    const F: &str = "dd_claim_v2";
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

fn finish() -> Vec<Mutant> {
    const F: &str = "dd_finish_v2";
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
        dies(F, ", version = made", ""),
        dies(F, "RETURN CASE ended WHEN 'conflict' THEN 'conflict' ELSE 'ok' END", "RETURN 'ok'"),
    ]
}

fn end_attempt() -> Vec<Mutant> {
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
        dies(F, "CASE WHEN s <> 'dead' THEN errors", "CASE WHEN true THEN errors"),
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

fn promote() -> Vec<Mutant> {
    const F: &str = "dd_promote_v2";
    vec![
        dies(F, " AND writers = 0", ""),
        dies(F, "state = 'pending' AND NOT read_only", "state = 'pending'"),
        dies(F, "WHERE project_id = p AND state = 'pending' AND read_only", "WHERE project_id = p AND read_only"),
        dies(F, "WHERE project_id = p AND state = 'pending' AND read_only", "WHERE state = 'pending' AND read_only"),
        dies(F, "WHERE project_id = p AND state = 'pending' AND NOT", "WHERE state = 'pending' AND NOT"),
        dies(F, "ORDER BY priority DESC, created_at, id LIMIT 1)", "ORDER BY created_at, id LIMIT 1)"),
        dies(F, "ORDER BY priority DESC, created_at, id LIMIT 1)", "ORDER BY priority DESC, id LIMIT 1)"),
        dies(F, "ORDER BY priority DESC, created_at, id LIMIT 3)", "ORDER BY created_at, id LIMIT 3)"),
        dies(F, "ORDER BY reader, priority DESC", "ORDER BY priority DESC"),
        dies(F, "greatest(0, 3 - taken)", "3"),
        dies(F, "greatest(0, 3 - taken)", "greatest(0, 2 - taken)"),
        dies(F, "state IN ('queued', 'dispatched', 'running')", "state IN ('queued', 'running')"),
    ]
}

fn cancel() -> Vec<Mutant> {
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

fn reap() -> Vec<Mutant> {
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
        dies("dd_worker_start_v2", " AND ended_at IS NULL", " AND false"),
        dies("dd_worker_start_v2", "instance = inst AND ", ""),
    ]
}

fn renew() -> Vec<Mutant> {
    const F: &str = "dd_renew_v1";
    vec![
        dies(F, "WHERE id = w AND ended_at IS NULL", "WHERE id = w"),
        dies(
            F,
            "UPDATE worker SET lease_until = clock_timestamp() + ttl",
            "UPDATE worker SET lease_until = lease_until",
        ),
        dies(F, "IF NOT alive THEN RETURN; END IF;", ""),
        dies(F, "a.id = told.id AND a.worker_id = w AND", "a.id = told.id AND"),
        dies(F, " AND a.state = 'running' AND a.phase", " AND a.phase"),
        dies(F, " AND a.phase IS DISTINCT FROM told.phase::attempt_phase", ""),
        dies(F, "WHERE a.worker_id = w AND a.state = 'running';", "WHERE a.state = 'running';"),
        lives(F, "WHERE a.worker_id = w AND a.state = 'running';", "WHERE a.worker_id = w;", "a current attempt runs"),
        lives(F, " AND j.current_attempt = a.id", "", "a running attempt is its job's current one"),
        dies(F, "j.cancel_at IS NOT NULL", "false"),
    ]
}

fn tickets() -> Vec<Mutant> {
    const F: &str = "dd_redispatch_v2";
    const SUITED: &str = "dd_suits_v1(w, q) has the pool";
    vec![
        dies(F, "IF NOT dd_leads_v1('fleet', h, tm) THEN RETURN; END IF;", ""),
        dies(F, "r.state = 'dispatched' AND (", "("),
        dies(F, "r.id = ANY (unconfirmed)", "false"),
        lives(
            F,
            "r.dispatched_at < clock_timestamp() - older AND ",
            "",
            "there for the index; the other bound is never later",
        ),
        dies(F, " AND r.dispatched_at < clock_timestamp() - older * power(2, least(r.redispatches, 4))", ""),
        dies(F, "least(r.redispatches, 4)", "0"),
        dies(F, "ORDER BY r.id LIMIT batch", "LIMIT ALL"),
        dies(F, " FOR UPDATE SKIP LOCKED", " FOR UPDATE"),
        lives(F, " AND q.state = 'dispatched'", "", HELD),
        lives(F, "w.pool = q.pool AND ", "", SUITED),
        dies(F, "w.ended_at IS NULL AND ", ""),
        dies(F, "NOT w.draining", "true"),
        dies(F, "w.lease_until > clock_timestamp()", "true"),
        dies(F, "dd_suits_v1(w, q)", "true"),
        dies(F, "d.id = ANY (ids) AND d.state = 'dispatched'", "d.id = ANY (ids)"),
        dies(F, "SET state = 'queued', redispatches = 0", "SET state = 'queued'"),
        dies(F, ", redispatches = d.redispatches + 1", ""),
        dies("dd_return_ticket_v2", " AND state = 'dispatched'", ""),
        dies("dd_return_ticket_v2", " AND dispatch_seq = seq", ""),
        dies("dd_return_ticket_v2", "redispatches = 0, ", ""),
        dies("dd_return_ticket_v2", "backing_off = pause > interval '0', ", ""),
        dies("dd_pull_v1", "k.ended_at IS NULL AND ", ""),
        dies("dd_pull_v1", " AND NOT k.draining", ""),
        dies("dd_pull_v1", "j.state = 'dispatched' AND ", ""),
        dies("dd_pull_v1", " AND dd_suits_v1(k, j)", ""),
        dies("dd_pull_v1", "LIMIT most", "LIMIT 99"),
        dies("dd_suits_v1", "w.pool = j.pool AND ", ""),
        dies("dd_suits_v1", "w.isolation >= j.min_isolation AND ", ""),
        dies("dd_suits_v1", " AND w.labels @> j.requires", ""),
        dies("dd_suits_v1", "j.job_type = 'command' OR ", ""),
        dies("dd_suits_v1", "j.agent = ANY (w.agents)", "true"),
    ]
}

fn admit() -> Vec<Mutant> {
    const F: &str = "dd_admit_v2";
    vec![
        dies(F, "IF NOT dd_leads_v1('fleet', h, tm) THEN RETURN; END IF;", ""),
        dies(
            F,
            "WHERE w.ended_at IS NULL AND NOT w.draining AND w.lease_until > clock_timestamp() GROUP",
            "WHERE NOT w.draining AND w.lease_until > clock_timestamp() GROUP",
        ),
        dies(
            F,
            "WHERE w.ended_at IS NULL AND NOT w.draining AND w.lease_until > clock_timestamp() GROUP",
            "WHERE w.ended_at IS NULL AND w.lease_until > clock_timestamp() GROUP",
        ),
        dies(F, " AND w.lease_until > clock_timestamp() GROUP", " GROUP"),
        dies(F, "a.pool = w.pool AND ", ""),
        dies(F, "a.state IN ('dispatched', 'running')) AS busy", "a.state = 'running') AS busy"),
        dies(F, "a.state IN ('dispatched', 'running')) AS busy", "a.state = 'dispatched') AS busy"),
        dies(F, "least(batch, c.slots + lookahead - c.busy)", "(c.slots + lookahead - c.busy)"),
        dies(F, " + lookahead - c.busy", " - c.busy"),
        dies(F, " - c.busy", ""),
        dies(F, "w.pool = c.pool AND w.ended_at IS NULL AND NOT w.draining", "w.pool = c.pool AND NOT w.draining"),
        dies(F, "w.pool = c.pool AND w.ended_at IS NULL AND NOT w.draining", "w.pool = c.pool AND w.ended_at IS NULL"),
        dies(F, "AND w.lease_until > clock_timestamp() AND dd_suits_v1(w, j)", "AND dd_suits_v1(w, j)"),
        lives(F, "w.pool = c.pool AND w.ended_at", "w.ended_at", "dd_suits_v1(w, j) has the pool"),
        dies(F, " AND dd_suits_v1(w, j)", ""),
        dies(F, "t.max_running - coalesce(u.everywhere, 0)", "t.max_running"),
        dies(F, "coalesce(t.max_running - coalesce(u.everywhere, 0), room)", "room"),
        dies(F, "count(*) FILTER (WHERE a.pool = c.pool) AS here", "0 AS here"),
        dies(F, "count(*) AS everywhere", "count(*) FILTER (WHERE a.pool = c.pool) AS everywhere"),
        dies(F, "WHERE j.pool = c.pool AND j.tenant_id = q.id AND", "WHERE j.tenant_id = q.id AND"),
        dies(F, "j.tenant_id = q.id AND ", ""),
        dies(F, "j.demand = g.demand AND ", ""),
        dies(F, "PARTITION BY q.id ORDER BY r.priority DESC, ", "PARTITION BY q.id ORDER BY "),
        dies(F, "(r.used + r.turn)::float8 / r.weight", "(r.used + r.turn)::float8"),
        dies(F, "(r.used + r.turn)::float8 / r.weight", "r.turn::float8 / r.weight"),
        dies(F, "r.weight, r.queued_at, r.job_id LIMIT room", "r.weight, r.job_id LIMIT room"),
        lives(F, " AND j.cancel_at IS NULL", "", NEVER_CANCELLED),
        dies(F, " FOR UPDATE SKIP LOCKED", " FOR UPDATE"),
        lives(F, " AND d.state = 'queued'", "", HELD),
    ]
}

fn lead() -> Vec<Mutant> {
    const F: &str = "dd_lead_v1";
    const G: &str = "dd_leads_v1";
    vec![
        dies(F, "l.holder = h OR l.expires_at < clock_timestamp()", "true"),
        dies(F, " OR l.expires_at < clock_timestamp()", ""),
        dies(F, "l.holder = h OR ", ""),
        dies(F, "(l.holder <> h)::int", "0"),
        dies(F, "(l.holder <> h)::int", "1"),
        lives(G, "holder = h AND ", "", "a term has one holder"),
        dies(G, "term = tm AND ", ""),
        dies(G, " AND expires_at > clock_timestamp()", ""),
        dies(G, " FOR SHARE", ""),
        dies("dd_resign_v1", " AND holder = h", ""),
    ]
}

fn accept() -> Vec<Mutant> {
    const F: &str = "dd_accept_v2";
    vec![
        dies(F, "AND p.tenant_id = t ORDER BY p.id FOR NO KEY UPDATE", "AND p.tenant_id = t"),
        dies(F, "WHERE needing AND d.tenant_id", "WHERE false AND d.tenant_id"),
        dies(F, "p.id = a.project_id AND p.tenant_id = t AND", "p.id = a.project_id AND"),
        dies(
            F,
            "AND p.tenant_id = t AND p.deleted_at IS NULL\n      LEFT JOIN needs",
            "AND p.tenant_id = t\n      LEFT JOIN needs",
        ),
        dies(F, "k.fingerprint = decode(a.fingerprint, 'hex')", "true"),
        dies(F, "NOT a.id = ANY (won) THEN", "false THEN"),
        dies(F, "k.tenant_id = t AND k.key = a.key)", "k.key = a.key)"),
        dies(F, "a.id = ANY (lacking) OR ", ""),
        dies(F, " OR k.resource_id = ANY (lacking)", ""),
        dies(F, "x <> ALL (made) AND ", ""),
        dies(F, " AND NOT EXISTS (SELECT 1 FROM job d WHERE d.id = x AND d.tenant_id = t)", ""),
        dies(F, "d.id = x AND d.tenant_id = t", "d.id = x"),
        dies(F, "WHERE (a ->> 'key' IS NULL OR (a ->> 'id')::uuid = ANY (won))", "WHERE true"),
        dies(F, "WHERE state <> 'succeeded')::int AS unmet", "WHERE true)::int AS unmet"),
        dies(F, "g.unmet > 0 OR ", ""),
        dies(F, "OR g.run_at > began THEN 'scheduled'", "THEN 'scheduled'"),
        dies(F, "NOT g.read_only AND NOT l.written AND", "NOT g.read_only AND"),
        dies(F, " AND l.taken < 3 AND g.turn = 1", " AND g.turn = 1"),
        dies(F, "l.taken < 3 AND g.turn = 1", "l.taken < 3"),
        lives(
            F,
            "g.read_only AND NOT l.read AND",
            "g.read_only AND",
            "while a reader waits, all three places are taken",
        ),
        dies(F, "3 - l.taken - (l.writer AND NOT l.written AND l.taken < 3)::int", "3 - l.taken"),
        dies(F, "3 - l.taken - (", "3 - ("),
        dies(F, "ORDER BY j.priority DESC, j.place) AS turn", "ORDER BY j.place) AS turn"),
        dies(
            F,
            "o.state IN ('queued', 'dispatched', 'running')) AS taken",
            "o.state IN ('queued', 'running')) AS taken",
        ),
        dies(
            F,
            "o.state IN ('pending', 'queued', 'dispatched', 'running')) AS written",
            "o.state IN ('pending', 'queued')) AS written",
        ),
        dies(F, "WHERE g.verdict = 'no_dependency' AND", "WHERE false AND"),
        dies(
            F,
            "FROM needed e JOIN made m ON m.id = e.id WHERE e.state <> 'succeeded'",
            "FROM needed e JOIN made m ON m.id = e.id",
        ),
        dies(F, "CASE WHEN e.state IN ('failed', 'dead', 'canceled') THEN e.state END", "NULL"),
        dies(F, "greatest(coalesce(f.run_at, began), began)", "began"),
    ]
}

const AGAIN: &str = "only picks candidates, the earliest first: checked again under the locks";
const NEVER_LATER: &str = "no transition moves it, so that what was picked stays due";

fn waits() -> Vec<Mutant> {
    const D: &str = "dd_due_v2";
    const R: &str = "dd_ready_v1";
    vec![
        dies(
            D,
            "WHERE state = 'scheduled' AND unmet = 0 AND run_at <= statement_timestamp() ORDER",
            "WHERE unmet = 0 AND run_at <= statement_timestamp() ORDER",
        ),
        dies(D, "unmet = 0 AND run_at <= statement_timestamp() ORDER", "run_at <= statement_timestamp() ORDER"),
        lives(D, "AND run_at <= statement_timestamp() ORDER", "ORDER", AGAIN),
        dies(D, "id = ANY (ids) AND state = 'scheduled' AND", "id = ANY (ids) AND"),
        lives(
            D,
            "unmet = 0 AND run_at <= clock_timestamp() RETURNING",
            "run_at <= clock_timestamp() RETURNING",
            "unmet only falls",
        ),
        lives(D, " AND run_at <= clock_timestamp() RETURNING", " RETURNING", NEVER_LATER),
        dies(D, "PERFORM dd_promote_v2(p) FROM", "PERFORM p FROM"),
        dies(D, "ORDER BY p.id FOR NO KEY UPDATE", ""),
        dies(R, "AND run_at <= statement_timestamp()", ""),
        dies(R, "state = 'queued' AND backing_off AND run_at", "state = 'queued' AND run_at"),
        dies(R, " FOR UPDATE SKIP LOCKED", ""),
        lives(R, " AND j.state = 'queued' AND j.backing_off", "", HELD),
    ]
}

fn ends_of_waits() -> Vec<Mutant> {
    const N: &str = "dd_depend_v1";
    const E: &str = "dd_expire_v1";
    vec![
        dies(N, "FROM job_dependency WHERE ended IS NOT NULL ORDER", "FROM job_dependency ORDER"),
        dies(N, " AND e.ended IS NOT NULL", ""),
        lives(N, "count(*) FILTER (WHERE g.ended = 'succeeded')", "count(*)", "used only where all of them ended well"),
        dies(N, "FILTER (WHERE g.ended <> 'succeeded')", ""),
        dies(N, "SET unmet = unmet - d.met", "SET unmet = 0"),
        lives(
            N,
            "WHERE id = d.job_id AND state = 'scheduled';",
            "WHERE id = d.job_id;",
            "a job that is no longer scheduled has no edges",
        ),
        lives(N, "AND state = 'scheduled' RETURNING", "RETURNING", "a job that is no longer scheduled has no edges"),
        dies(N, "DELETE FROM job_dependency WHERE job_id = d.job_id;", ""),
        dies(N, "PERFORM dd_settle_v1(j);", ""),
        dies(N, "ORDER BY p.id FOR NO KEY UPDATE", ""),
        dies(
            E,
            "expires_at IS NOT NULL AND state IN ('scheduled', 'pending', 'queued', 'dispatched')\n                AND",
            "expires_at IS NOT NULL AND",
        ),
        lives(
            E,
            "'dispatched')\n                AND expires_at <= statement_timestamp() ORDER",
            "'dispatched') ORDER",
            AGAIN,
        ),
        lives(E, "AND expires_at <= clock_timestamp() AND state IN", "AND state IN", NEVER_LATER),
        dies(E, " AND state IN ('scheduled', 'pending', 'queued', 'dispatched')\n    RETURNING", "\n    RETURNING"),
        dies(E, "backing_off = false, ", ""),
        dies(E, "DELETE FROM job_dependency WHERE job_id = j.id;", ""),
        dies(E, "PERFORM dd_settle_v1(j);", ""),
        dies(E, "ORDER BY p.id FOR NO KEY UPDATE", ""),
    ]
}
