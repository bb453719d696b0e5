//! Many waiting jobs, made by a few statements; and what a call touches to decide, which is what must not grow with them.

use drydock_database::{Client, job::Term};
use drydock_domain::TenantId;

/// `projects` of `tenants` (besides the default one), each with `jobs` jobs of which the first is ready.
pub(crate) async fn fill(client: &Client, tenants: i32, projects: i32, jobs: i32) {
    let sql = format!(
        "SET statement_timeout = 0; SET session_replication_role = replica;
         INSERT INTO tenant (id, name) SELECT gen_random_uuid(), 'many ' || n FROM generate_series(1, {tenants}) n;
         WITH t AS (SELECT id, row_number() OVER (ORDER BY name) AS n FROM tenant WHERE name LIKE 'many %')
         INSERT INTO project (id, tenant_id, instruction, agent, pool)
         SELECT gen_random_uuid(), t.id, 'backlog', 'dummy', 'default' FROM generate_series(1, {projects}) g JOIN t ON t.n = g % {tenants} + 1;
         INSERT INTO job (id, tenant_id, project_id, job_type, title, instruction, agent, pool, demand, state, created_at, queued_at, priority)
         SELECT gen_random_uuid(), p.tenant_id, p.id, 'edit', 't', 'do it', p.agent, p.pool, dd_demand_v1('edit', p.agent, 'none', '{{}}'),
                CASE n WHEN 1 THEN 'queued' ELSE 'pending' END::job_state, now() - n * interval '1 s', now() - random() * interval '1 h', n % 10
           FROM project p, generate_series(1, {jobs}) n WHERE p.instruction = 'backlog';
         RESET session_replication_role; ANALYZE job; ANALYZE project; ANALYZE tenant;"
    );
    client.batch_execute(&sql).await.unwrap();
}

/// What a statement did, and what it touched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Rows returned.
    pub(crate) rows: f64,
    /// Pages looked at, found in memory or not.
    pub(crate) pages: i64,
}

/// Runs a statement for real and tells what it touched.
pub(crate) async fn cost(client: &Client, sql: &str) -> Cost {
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, SUMMARY OFF, FORMAT JSON) {sql}");
    let plan: serde_json::Value = client.query_one(&explain, &[]).await.unwrap().get(0);
    let node = &plan[0]["Plan"];
    let pages = |kind: &str| node[kind].as_i64().unwrap();
    Cost {
        rows: node["Actual Rows"].as_f64().unwrap(),
        pages: pages("Shared Hit Blocks") + pages("Shared Read Blocks"),
    }
}

pub(crate) fn admit(term: Term, batch: i32) -> String {
    format!("SELECT * FROM dd_admit_v7('{}', {}, {batch}, {batch}, '{{}}', '{{}}')", term.holder, term.number)
}

/// Accepts `jobs` plain jobs over the projects of the default tenant, as one call does.
pub(crate) fn accept(projects: &[uuid::Uuid], jobs: usize) -> Vec<drydock_database::job::NewJob> {
    (0..jobs)
        .map(|place| {
            drydock_database::job::NewJob::new(
                projects[place % projects.len()].into(),
                drydock_domain::JobType::Edit,
                "t".to_owned(),
                "do it".to_owned(),
            )
        })
        .collect()
}

/// New empty projects of the default tenant.
pub(crate) async fn projects(client: &Client, many: i32) -> Vec<uuid::Uuid> {
    let sql = "INSERT INTO project (id, tenant_id, instruction, agent, pool)
      SELECT gen_random_uuid(), $1, 'mine', 'dummy', 'default' FROM generate_series(1, $2) RETURNING id";
    let rows = client.query(sql, &[&TenantId::DEFAULT.uuid(), &many]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}
