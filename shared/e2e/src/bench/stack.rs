//! A stack for one measurement: a database of its own, services as they are deployed, at their default settings.

use anyhow::{Context as _, Result, ensure};
use drydock_database::{Client as Sql, job::NewJob};
use drydock_domain::{JobType, ProjectId, TenantId};
use drydock_testing::TestDatabase;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::process::{Process, free_port};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Its parts; they end with it.
pub(in crate::bench) struct Stack {
    pub(in crate::bench) database: TestDatabase,
    pub(in crate::bench) processes: Vec<(String, Process)>,
    pub(in crate::bench) http: reqwest::Client,
    base: String,
    settings: Vec<(String, String)>,
    /// What the workers that are started from now on give (`DRYDOCK_ISOLATION`).
    pub(in crate::bench) isolation: String,
    directory: tempfile::TempDir,
}

impl Stack {
    /// The database and an API.
    pub(in crate::bench) async fn start() -> Result<Self> {
        let database = drydock_testing::database().await;
        let directory = tempfile::tempdir()?;
        let port = free_port();
        let settings = common(&database, &directory.path().display().to_string());
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(64).build()?;
        let base = format!("http://127.0.0.1:{port}");
        let mut stack =
            Self { database, processes: Vec::new(), http, base, settings, isolation: "none".to_owned(), directory };
        let role = stack.database.api_url().expose_secret().to_owned();
        let own = [("DRYDOCK_API_ADDR", format!("127.0.0.1:{port}")), ("DRYDOCK_DATABASE_URL", role)];
        stack.spawn("api", "drydock-api", &own);
        let ready = format!("{}/readyz", stack.base);
        drydock_testing::until("the API is ready", PATIENCE, || async {
            let answer = stack.http.get(&ready).send().await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await;
        Ok(stack)
    }

    /// The address of a resource.
    pub(in crate::bench) fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.base)
    }

    /// The process id of a part.
    pub(in crate::bench) fn pid(&self, name: &str) -> Result<u32> {
        let found = self.processes.iter().find(|(known, _)| known == name);
        found.map(|(_, process)| process.id()).with_context(|| format!("no part is called '{name}'"))
    }

    pub(in crate::bench) fn start_dispatcher(&mut self) {
        self.spawn("dispatcher", "drydock-dispatcher", &[("DRYDOCK_ADMIN_ADDR", admin())]);
    }

    /// Starts a worker; `place` names its scratch directory.
    pub(in crate::bench) fn start_worker(&mut self, place: &str, slots: u16) {
        let scratch = self.directory.path().join(place).display().to_string();
        let own = [
            ("DRYDOCK_ADMIN_ADDR", admin()),
            ("DRYDOCK_SCRATCH_DIR", scratch),
            ("DRYDOCK_SLOTS", slots.to_string()),
            ("DRYDOCK_ISOLATION", self.isolation.clone()),
        ];
        self.spawn(place, "drydock-worker", &own);
    }

    /// Kills a part as a crash would.
    pub(in crate::bench) fn kill(&mut self, name: &str) {
        if let Some(at) = self.processes.iter().position(|(known, _)| known == name) {
            let (_, mut process) = self.processes.swap_remove(at);
            process.kill();
        }
    }

    /// Awaits that so many workers live.
    pub(in crate::bench) async fn await_workers(&self, count: i64) {
        drydock_testing::until("the workers are registered", PATIENCE, || async {
            let sql = self.sql().await.ok()?;
            let live = "SELECT count(*) FROM worker WHERE ended_at IS NULL AND lease_until > now()";
            let row = sql.query_one(live, &[]).await.ok()?;
            (row.get::<_, i64>(0) >= count).then_some(())
        })
        .await;
    }

    pub(in crate::bench) async fn sql(&self) -> Result<Sql> {
        Ok(self.database.client().await?)
    }

    /// Runs statements that may take their time, on a connection without a timeout.
    pub(in crate::bench) async fn fill(&self, statements: &[&str]) -> Result<()> {
        let url = self.database.url.expose_secret();
        let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
        let connection = drydock_runtime::tasks::spawn("fill", connection);
        for statement in statements {
            client.batch_execute(statement).await.context("fill the database")?;
        }
        drop(client);
        Ok(connection.await??)
    }

    /// Empty projects, made as an import makes them.
    pub(in crate::bench) async fn projects(&self, count: usize) -> Result<Vec<ProjectId>> {
        let projects: Vec<ProjectId> = (0..count).map(|_| ProjectId::generate()).collect();
        let sql = self.sql().await?;
        let pool = self.pool().to_owned();
        let make = "SELECT dd_create_project_v1($1, $2, 'a benchmark', 'dummy', $3, '{}', 'none')";
        for project in &projects {
            sql.execute(make, &[&project.uuid(), &TenantId::DEFAULT.uuid(), &pool]).await?;
        }
        Ok(projects)
    }

    pub(in crate::bench) fn pool(&self) -> &str {
        self.settings.iter().find(|(name, _)| name == "DRYDOCK_POOL").map_or("default", |(_, pool)| pool)
    }

    /// Posts one `command` job; its id.
    pub(in crate::bench) async fn post(&self, project: ProjectId, argv: &[&str]) -> Result<String> {
        let body = json!({"job_type": "command", "argv": argv});
        let job = self.post_json(&format!("projects/{project}/jobs"), &body, 202).await?;
        Ok(job["id"].as_str().context("an accepted job has an id")?.to_owned())
    }

    /// Posts `body`; the answer, which must have this status.
    pub(in crate::bench) async fn post_json(&self, path: &str, body: &Value, expected: u16) -> Result<Value> {
        let answer = self.http.post(self.url(path)).json(body).send().await?;
        let status = answer.status();
        let answer: Value = answer.json().await?;
        ensure!(status == expected, "{path} was answered with {status}: {answer}");
        Ok(answer)
    }

    /// Posts `jobs` jobs over `projects` in turn, `clients` at a time.
    pub(in crate::bench) async fn post_all(&self, projects: &[ProjectId], jobs: usize, clients: usize) -> Result<()> {
        stream::iter((0..jobs).map(|number| self.post(projects[number % projects.len()], &["true"])))
            .buffer_unordered(clients)
            .try_for_each(async |_| Ok(()))
            .await
    }

    fn spawn(&mut self, name: &str, program: &str, own: &[(&'static str, String)]) {
        let process = Process::spawn(program, name, &self.settings, own, self.directory.path());
        self.processes.push((name.to_owned(), process));
    }
}

/// A job that runs `argv`.
pub(in crate::bench) fn command(project: ProjectId, argv: &[&str]) -> NewJob {
    let argv: Vec<String> = argv.iter().map(ToString::to_string).collect();
    NewJob { argv: Some(argv), ..NewJob::new(project, JobType::Command, "command".to_owned(), String::new()) }
}

fn admin() -> String {
    format!("127.0.0.1:{}", free_port())
}

fn common(database: &TestDatabase, temp: &str) -> Vec<(String, String)> {
    let storage = drydock_testing::storage_config();
    let pool = drydock_testing::pool();
    let settings = [
        ("DRYDOCK_DATABASE_URL", database.fleet_url().expose_secret().to_owned()),
        ("DRYDOCK_AMQP_URL", drydock_testing::setting("DRYDOCK_TEST_AMQP_URL")),
        ("DRYDOCK_S3_ENDPOINT", storage.endpoint.unwrap_or_default()),
        ("DRYDOCK_S3_BUCKET", storage.bucket),
        ("DRYDOCK_S3_PREFIX", storage.prefix),
        ("AWS_ACCESS_KEY_ID", drydock_testing::setting("AWS_ACCESS_KEY_ID")),
        ("AWS_SECRET_ACCESS_KEY", drydock_testing::setting("AWS_SECRET_ACCESS_KEY")),
        ("DRYDOCK_POOL", pool.clone()),
        ("DRYDOCK_DEFAULT_POOL", pool),
        ("DRYDOCK_DEFAULT_AGENT", "dummy".to_owned()),
        ("DRYDOCK_API_JOB_RATE", "0".to_owned()),
        ("DRYDOCK_API_CHANGE_RATE", "0".to_owned()),
        ("DRYDOCK_LOG", "warn".to_owned()),
        ("TMPDIR", temp.to_owned()),
        ("PATH", drydock_testing::setting("PATH")),
    ];
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
