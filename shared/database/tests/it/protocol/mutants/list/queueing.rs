//! Mutants of what accepts, admits, dispatches and waits.

use super::*;

pub(super) fn tickets() -> Vec<Mutant> {
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

pub(super) fn admit() -> Vec<Mutant> {
    const F: &str = "dd_admit_v6";
    vec![
        dies(F, "IF NOT dd_leads_v1('fleet', h, tm) THEN RETURN; END IF;", ""),
        dies(
            F,
            "WHERE w.ended_at IS NULL AND w.lease_until > clock_timestamp() GROUP",
            "WHERE w.lease_until > clock_timestamp() GROUP",
        ),
        dies(F, "sum(w.slots) FILTER (WHERE NOT w.draining)", "sum(w.slots)"),
        dies(F, " AND w.lease_until > clock_timestamp() GROUP", " GROUP"),
        dies(F, "a.pool = w.pool AND ", ""),
        dies(F, "a.pool = w.pool AND a.state IN ('dispatched', 'running')", "a.pool = w.pool AND a.state = 'running'"),
        dies(
            F,
            "a.pool = w.pool AND a.state IN ('dispatched', 'running')",
            "a.pool = w.pool AND a.state = 'dispatched'",
        ),
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

pub(super) fn lead() -> Vec<Mutant> {
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

pub(super) fn accept() -> Vec<Mutant> {
    const F: &str = "dd_accept_v3";
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
        dies(F, "WHERE g.verdict IN ('no_dependency', 'over_quota') AND", "WHERE g.verdict IN ('over_quota') AND"),
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

pub(super) fn waits() -> Vec<Mutant> {
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

pub(super) fn ends_of_waits() -> Vec<Mutant> {
    const N: &str = "dd_depend_v1";
    const E: &str = "dd_expire_v2";
    vec![
        dies(N, "FROM job_dependency WHERE ended IS NOT NULL ORDER", "FROM job_dependency ORDER"),
        dies(N, "SELECT DISTINCT job_id", "SELECT job_id"),
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
