//! A stack of its own for one test: own database, own pool, own bucket prefix, own processes, which die with it.

pub(crate) mod broker;
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
    pub(crate) dispatchers: Vec<Process>,
    pub(crate) scratch: tempfile::TempDir,
    apis: Vec<Process>,
    /// Where the dispatchers' metrics are.
    admins: Vec<String>,
    /// What all processes were started with.
    settings: Vec<(String, String)>,
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.apis.clear();
        self.dispatchers.clear();
        self.workers.clear();
        // Killed workers leave their agents behind; only a successor would end them.
        drydock_agent::end_strays(self.scratch.path()).expect("what the workers ran can be killed");
        // And what they mounted, which would outlive the directory.
        drydock_worker::unmount_below(self.scratch.path()).expect("what the workers mounted can be unmounted");
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

    /// Its workers give this isolation: a level, or `auto`.
    pub(crate) async fn walled(isolation: &str) -> Self {
        let worker_settings = vec![("DRYDOCK_ISOLATION", isolation.to_owned())];
        Self::with(Options { worker_settings, ..Options::default() }).await
    }

    /// Reaches its database through `server`, a proxy's URL without a database name.
    pub(crate) async fn behind_database_proxy(server: &str) -> Self {
        let database = drydock_testing::database().await;
        let (_, name) = database.url.expose_secret().rsplit_once('/').unwrap();
        let url = drydock_testing::as_fleet(&format!("{server}/{name}").into()).expose_secret().to_owned();
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
        let fleet_url =
            settings.iter().rfind(|(name, _)| name == "DRYDOCK_DATABASE_URL").map(|(_, url)| url.clone().into());
        let api_url = drydock_testing::as_api(&fleet_url.unwrap()).expose_secret().to_owned();
        let (mut apis, mut dispatchers, mut bases, mut admins) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for number in 1..=2 {
            let port = free_port();
            bases.push(format!("http://127.0.0.1:{port}"));
            let api = [("DRYDOCK_API_ADDR", format!("127.0.0.1:{port}")), ("DRYDOCK_DATABASE_URL", api_url.clone())];
            apis.push(Process::spawn("drydock-api", &format!("api-{number}"), &settings, &api, scratch.path()));
            let (name, admin) = (format!("dispatcher-{number}"), admin());
            admins.push(format!("http://{}", admin[0].1));
            dispatchers.push(Process::spawn("drydock-dispatcher", &name, &settings, &admin, scratch.path()));
        }
        let mut stack = Self {
            client: Client::new(bases),
            database,
            workers: Vec::new(),
            dispatchers,
            scratch,
            apis,
            admins,
            settings,
        };
        for _ in 0..options.workers.unwrap_or(2) {
            stack.add_worker(options.slots, &options.worker_settings);
        }
        stack.await_ready().await;
        stack
    }

    /// Starts one more worker, with settings of its own; two slots when unset.
    pub(crate) fn add_worker(&mut self, slots: Option<u16>, own: &[(&'static str, String)]) {
        let name = format!("worker-{}", self.workers.len() + 1);
        let place = self.scratch.path().join(&name).display().to_string();
        let mut settings = admin().to_vec();
        settings.extend([("DRYDOCK_SCRATCH_DIR", place), ("DRYDOCK_SLOTS", slots.unwrap_or(2).to_string())]);
        settings.extend(own.iter().cloned());
        self.workers.push(Process::spawn("drydock-worker", &name, &self.settings, &settings, self.scratch.path()));
    }

    /// Kills the APIs and starts them again.
    pub(crate) async fn restart_apis(&mut self) {
        for api in &mut self.apis {
            api.kill();
            api.restart();
        }
        self.await_apis().await;
    }

    /// Ends the workers and starts as many new ones, which have nothing of any version; answers where those begin in `workers`.
    pub(crate) async fn cold_workers(&mut self, own: &[(&'static str, String)]) -> usize {
        let old = self.workers.len();
        for worker in &mut self.workers {
            worker.signal(rustix::process::Signal::TERM);
            assert!(worker.ended().await.success());
        }
        for _ in 0..old {
            self.add_worker(None, own);
        }
        let database = &self.database;
        drydock_testing::until("the new workers are registered", PATIENCE, || async {
            let client = database.client().await.ok()?;
            let row = client.query_one("SELECT count(*) FROM worker WHERE ended_at IS NULL", &[]).await.ok()?;
            (row.get::<_, i64>(0) == i64::try_from(old).unwrap()).then_some(())
        })
        .await;
        old
    }

    /// Which worker has the newest attempt of a job.
    pub(crate) async fn holder(&self, job: &str) -> usize {
        let shown = self.client.get(&format!("/jobs/{job}")).await;
        let newest = shown["attempts"].as_array().and_then(|attempts| attempts.last()).expect("it was claimed");
        let instance = newest["worker"].as_str().unwrap();
        instance.rsplit_once("worker-").unwrap().1.parse::<usize>().unwrap() - 1
    }

    /// Where this stack's objects are.
    pub(crate) fn storage_config(&self) -> drydock_storage::StorageConfig {
        let prefix = self.setting("DRYDOCK_S3_PREFIX").to_owned();
        drydock_storage::StorageConfig { prefix, ..drydock_testing::storage_config() }
    }

    async fn await_apis(&self) {
        for base in self.client.bases() {
            drydock_testing::until("the API is ready", PATIENCE, || async {
                let answer = reqwest_get(&format!("{base}/readyz")).await?;
                (answer.status() == 200).then_some(())
            })
            .await;
        }
    }

    async fn await_ready(&mut self) {
        self.await_apis().await;
        let expected = i64::try_from(self.workers.len()).unwrap();
        let (mut workers, database) = (std::mem::take(&mut self.workers), &self.database);
        drydock_testing::until("the workers are registered", PATIENCE, || {
            let ended = workers.iter_mut().any(|worker| worker.has_ended().is_some());
            assert!(!ended, "a worker ended at its start: {}", self.process_logs());
            async {
                let client = database.client().await.ok()?;
                let row = client.query_one("SELECT count(*) FROM worker WHERE ended_at IS NULL", &[]).await.ok()?;
                (row.get::<_, i64>(0) >= expected).then_some(())
            }
        })
        .await;
        self.workers = workers;
    }

    /// Directories of attempts that are still there.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let workers = fs_err::read_dir(self.scratch.path()).unwrap().map(|entry| entry.unwrap().path());
        let workers = workers.filter(|path| {
            path.is_dir() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("worker-"))
        });
        let list = |directory: PathBuf| fs_err::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let is_shelf =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("shelf-"));
        let (shelves, others): (Vec<_>, Vec<_>) = workers.flat_map(list).partition(is_shelf);
        // What a worker keeps: the node cache is no attempt's.
        let is_kept = |path: &PathBuf| path.ends_with(".lock") || path.ends_with("cache");
        shelves.into_iter().flat_map(list).chain(others).filter(|path| !is_kept(path)).collect()
    }

    /// Awaits that nothing of any attempt is left on disk.
    pub(crate) async fn await_clean(&self) {
        drydock_testing::until("the scratch directories are empty", PATIENCE, || async {
            self.leftovers().is_empty().then_some(())
        })
        .await;
    }

    /// A dispatcher's metric, while it answers; `series` as it is written in /metrics.
    pub(crate) async fn dispatcher_says(&self, dispatcher: usize, series: &str) -> Option<f64> {
        let text = reqwest_get(&format!("{}/metrics", self.admins[dispatcher])).await?.text().await.ok()?;
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// The largest value of a metric among the dispatchers that answer.
    pub(crate) async fn dispatchers_say(&self, series: &str) -> Option<f64> {
        let mut most: Option<f64> = None;
        for dispatcher in 0..self.admins.len() {
            most = most.into_iter().chain(self.dispatcher_says(dispatcher, series).await).reduce(f64::max);
        }
        most
    }

    /// Awaits that one dispatcher leads; which.
    pub(crate) async fn leader(&self) -> usize {
        drydock_testing::until("somebody leads", PATIENCE, || async {
            for dispatcher in 0..self.admins.len() {
                if self.dispatcher_says(dispatcher, "drydock_dispatcher_leader").await == Some(1.0) {
                    return Some(dispatcher);
                }
            }
            None
        })
        .await
    }

    /// The pool of this stack alone.
    pub(crate) fn pool(&self) -> &str {
        self.setting("DRYDOCK_POOL")
    }

    fn setting(&self, name: &str) -> &str {
        self.settings.iter().find(|(known, _)| known == name).map(|(_, value)| value).expect("it is a common setting")
    }

    /// Everything the services logged.
    pub(crate) fn process_logs(&self) -> String {
        let files = fs_err::read_dir(self.scratch.path()).unwrap().map(|entry| entry.unwrap().path());
        let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.map(|path| fs_err::read_to_string(path).unwrap()).collect()
    }
}

/// `DRYDOCK_JAIL_READ` of this machine.
pub(crate) fn toolchains() -> String {
    let places: Vec<String> = drydock_testing::toolchains().iter().map(|place| place.display().to_string()).collect();
    places.join(":")
}

fn admin() -> [(&'static str, String); 1] {
    [("DRYDOCK_ADMIN_ADDR", format!("127.0.0.1:{}", free_port()))]
}

/// Settings all services share; protocol intervals at about 1/20.
fn common(database: &TestDatabase, temp: PathBuf) -> Vec<(String, String)> {
    let storage = drydock_testing::storage_config();
    let settings = [
        ("DRYDOCK_DATABASE_URL", database.fleet_url().expose_secret().to_owned()),
        ("DRYDOCK_AMQP_URL", drydock_testing::setting("DRYDOCK_TEST_AMQP_URL")),
        ("DRYDOCK_S3_ENDPOINT", storage.endpoint.unwrap_or_default()),
        ("DRYDOCK_S3_BUCKET", storage.bucket),
        ("DRYDOCK_S3_PREFIX", storage.prefix),
        ("AWS_ACCESS_KEY_ID", drydock_testing::setting("AWS_ACCESS_KEY_ID")),
        ("AWS_SECRET_ACCESS_KEY", drydock_testing::setting("AWS_SECRET_ACCESS_KEY")),
        ("DRYDOCK_POOL", drydock_testing::pool()),
        ("DRYDOCK_DEFAULT_AGENT", "dummy".to_owned()),
        ("DRYDOCK_API_JOB_RATE", "0".to_owned()),
        ("DRYDOCK_API_CHANGE_RATE", "0".to_owned()),
        ("DRYDOCK_DATABASE_POOL_SIZE", "6".to_owned()),
        ("DRYDOCK_LEASE_TTL", "3s".to_owned()),
        ("DRYDOCK_LEASE_GRACE", "1s".to_owned()),
        ("DRYDOCK_LEAD_TTL", "2s".to_owned()),
        ("DRYDOCK_CLAIM_TIMEOUT", "2s".to_owned()),
        ("DRYDOCK_REPAIR_PERIOD", "200ms".to_owned()),
        ("DRYDOCK_AGENT_GRACE", "500ms".to_owned()),
        // What jobs do is seen in files outside of their workspaces, which walls would keep from them; see `Stack::walled`.
        ("DRYDOCK_ISOLATION", "none".to_owned()),
        ("DRYDOCK_JAIL_READ", toolchains()),
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
