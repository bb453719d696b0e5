//! A stack of its own for one test: own database, own pool, own bucket prefix, own processes, which die with it.

pub(crate) mod client;

use std::{path::PathBuf, time::Duration};

pub(crate) use drydock_e2e::process::{Process, binary, free_port};
use drydock_testing::TestDatabase;
use secrecy::ExposeSecret as _;

pub(crate) use client::Client;

/// How long anything ordinary may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Stack {
    pub(crate) client: Client,
    pub(crate) database: TestDatabase,
    pub(crate) workers: Vec<Process>,
    pub(crate) scratch: tempfile::TempDir,
    pub(crate) pool: String,
    /// Where the dispatchers tell their metrics.
    pub(crate) dispatchers: Vec<String>,
    services: Vec<Process>,
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.services.clear();
        self.workers.clear();
        // Killed workers leave their agents behind; only a successor would end them.
        drydock_worker::agent::end_strays(self.scratch.path()).expect("what the workers ran can be killed");
    }
}

/// What differs between tests.
#[derive(Clone, Default)]
pub(crate) struct Options {
    /// Workers to start; two when unset.
    pub(crate) workers: Option<usize>,
    /// Slots of each; two when unset.
    pub(crate) slots: Option<u16>,
    /// More settings, for every service.
    pub(crate) settings: Vec<(&'static str, String)>,
    /// More settings, for the workers alone; they win.
    pub(crate) worker_settings: Vec<(&'static str, String)>,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// Reaches its database through `server`, a proxy's URL without a database name.
    pub(crate) async fn behind_database_proxy(server: &str) -> Self {
        let database = drydock_testing::database().await;
        let (_, name) = database.url.expose_secret().rsplit_once('/').unwrap();
        let url = format!("{server}/{name}");
        Self::on(database, Options { settings: vec![("DRYDOCK_DATABASE_URL", url)], ..Options::default() }).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        Self::on(drydock_testing::database().await, options).await
    }

    /// On a database made before, so that its URL could be put into `options`.
    pub(crate) async fn on(database: TestDatabase, options: Options) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let mut settings = common(&database, scratch.path().to_owned());
        settings.extend(options.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let slots = options.slots.unwrap_or(2).to_string();
        let (mut services, mut apis, mut dispatchers) = (Vec::new(), Vec::new(), Vec::new());
        for number in 1..=2 {
            let port = free_port();
            apis.push(format!("http://127.0.0.1:{port}"));
            let api = [("DRYDOCK_API_ADDR", format!("127.0.0.1:{port}"))];
            services.push(Process::spawn("drydock-api", &format!("api-{number}"), &settings, &api, scratch.path()));
            let (name, own) = (format!("dispatcher-{number}"), admin());
            dispatchers.push(format!("http://{}", own[0].1));
            services.push(Process::spawn("drydock-dispatcher", &name, &settings, &own, scratch.path()));
        }
        let workers = (1..=options.workers.unwrap_or(2))
            .map(|number| {
                let name = format!("worker-{number}");
                let place = scratch.path().join(&name).display().to_string();
                let mut own = admin().to_vec();
                own.extend([("DRYDOCK_SCRATCH_DIR", place), ("DRYDOCK_SLOTS", slots.clone())]);
                own.extend(options.worker_settings.iter().cloned());
                Process::spawn("drydock-worker", &name, &settings, &own, scratch.path())
            })
            .collect::<Vec<_>>();
        let pool = settings.iter().find(|(name, _)| name == "DRYDOCK_POOL").unwrap().1.clone();
        let stack = Self { client: Client::new(apis), database, workers, scratch, pool, dispatchers, services };
        stack.await_ready().await;
        stack
    }

    async fn await_ready(&self) {
        for base in self.client.bases() {
            drydock_testing::until("the API is ready", PATIENCE, || async {
                let answer = reqwest_get(&format!("{base}/readyz")).await?;
                (answer.status() == 200).then_some(())
            })
            .await;
        }
        let expected = i64::try_from(self.workers.len()).unwrap();
        drydock_testing::until("the workers are registered", PATIENCE, || async {
            let client = self.database.client().await.ok()?;
            let row = client.query_one("SELECT count(*) FROM worker WHERE ended_at IS NULL", &[]).await.ok()?;
            (row.get::<_, i64>(0) >= expected).then_some(())
        })
        .await;
    }

    /// Directories of attempts that are still there.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let workers = fs_err::read_dir(self.scratch.path()).unwrap().map(|entry| entry.unwrap().path());
        let workers = workers.filter(|path| {
            path.is_dir() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("worker-"))
        });
        let inside = workers.flat_map(|worker| fs_err::read_dir(worker).unwrap().map(|entry| entry.unwrap().path()));
        inside.filter(|path| !path.ends_with(".lock")).collect()
    }

    /// Awaits that nothing of any attempt is left on disk.
    pub(crate) async fn await_clean(&self) {
        drydock_testing::until("the scratch directories are empty", PATIENCE, || async {
            self.leftovers().is_empty().then_some(())
        })
        .await;
    }

    /// Everything the services logged.
    pub(crate) fn process_logs(&self) -> String {
        let files = fs_err::read_dir(self.scratch.path()).unwrap().map(|entry| entry.unwrap().path());
        let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.map(|path| fs_err::read_to_string(path).unwrap()).collect()
    }
}

fn admin() -> [(&'static str, String); 1] {
    [("DRYDOCK_ADMIN_ADDR", format!("127.0.0.1:{}", free_port()))]
}

/// Settings all services share; protocol intervals at about 1/20.
fn common(database: &TestDatabase, temp: PathBuf) -> Vec<(String, String)> {
    let storage = drydock_testing::storage_config();
    let settings = [
        ("DRYDOCK_DATABASE_URL", database.url.expose_secret().to_owned()),
        ("DRYDOCK_AMQP_URL", drydock_testing::setting("DRYDOCK_TEST_AMQP_URL")),
        ("DRYDOCK_S3_ENDPOINT", storage.endpoint.unwrap_or_default()),
        ("DRYDOCK_S3_BUCKET", storage.bucket),
        ("DRYDOCK_S3_PREFIX", storage.prefix),
        ("AWS_ACCESS_KEY_ID", drydock_testing::setting("AWS_ACCESS_KEY_ID")),
        ("AWS_SECRET_ACCESS_KEY", drydock_testing::setting("AWS_SECRET_ACCESS_KEY")),
        ("DRYDOCK_POOL", drydock_testing::pool()),
        ("DRYDOCK_DEFAULT_AGENT", "dummy".to_owned()),
        ("DRYDOCK_DATABASE_POOL_SIZE", "6".to_owned()),
        ("DRYDOCK_LEASE_TTL", "3s".to_owned()),
        ("DRYDOCK_LEASE_GRACE", "1s".to_owned()),
        ("DRYDOCK_LEAD_TTL", "2s".to_owned()),
        ("DRYDOCK_CLAIM_TIMEOUT", "2s".to_owned()),
        ("DRYDOCK_REPAIR_PERIOD", "200ms".to_owned()),
        ("DRYDOCK_AGENT_GRACE", "500ms".to_owned()),
        ("TMPDIR", temp.display().to_string()),
        ("PATH", drydock_testing::setting("PATH")),
    ];
    let mut settings: Vec<(String, String)> =
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let pool =
        settings.iter().find(|(name, _)| name == "DRYDOCK_POOL").map(|(_, pool)| pool.clone()).unwrap_or_default();
    settings.push(("DRYDOCK_DEFAULT_POOL".to_owned(), pool));
    settings
}

async fn reqwest_get(url: &str) -> Option<reqwest::Response> {
    client::http().get(url).send().await.ok()
}
