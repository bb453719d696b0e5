//! A database per test, cloned from a template that is migrated once and named after the migrations it holds.

use drydock_database::{Database, DatabaseConfig, migrate};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::{Client, Config, NoTls};
use uuid::Uuid;

/// Serialises who makes the template.
const TEMPLATE_LOCK: &str = "SELECT pg_advisory_lock(7165430275)";

/// What services connect with; roles belong to a server, so all its databases have the same.
const API: &str = "drydock_test_api";
const FLEET: &str = "drydock_test_fleet";
const PASSWORD: &str = "of-tests-alone";

/// A test's own database, dropped with this value unless it is a private server's.
pub struct TestDatabase {
    /// Its owner's pool.
    pub database: Database,
    /// The URL of its owner, who may do anything.
    pub url: SecretString,
    /// On the shared server.
    name: Option<String>,
}

impl TestDatabase {
    /// One that goes with its server.
    pub(crate) fn lent(url: SecretString) -> Self {
        Self { database: open(&url), url, name: None }
    }

    /// The URL that the API connects with.
    pub fn api_url(&self) -> SecretString {
        as_api(&self.url)
    }

    /// The URL that dispatchers and workers connect with.
    pub fn fleet_url(&self) -> SecretString {
        as_fleet(&self.url)
    }
}

impl std::ops::Deref for TestDatabase {
    type Target = Database;

    fn deref(&self) -> &Database {
        &self.database
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else { return };
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime
                .block_on(async {
                    let admin = connect(&server()).await;
                    admin.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await
                })
                .map_err(std::io::Error::other)
        });
        if !std::thread::panicking() {
            dropping.join().expect("the thread does not panic").expect("the test's database can be dropped");
        }
    }
}

/// A database with the newest schema.
pub async fn database() -> TestDatabase {
    let admin = connect(&server()).await;
    let template = format!("drydock_template_{}", migrate::fingerprint());
    admin.query_one(TEMPLATE_LOCK, &[]).await.expect("the lock is free sooner or later");
    let known = admin
        .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&template])
        .await
        .expect("pg_database is readable");
    if known.is_none() {
        let made = format!("making_{}", Uuid::now_v7().simple());
        admin.batch_execute(&format!("CREATE DATABASE {made}")).await.expect("the test user may create databases");
        bring_up(&url_of(&made)).await;
        admin.batch_execute(&format!("ALTER DATABASE {made} RENAME TO {template}")).await.expect("nobody is connected");
    }
    // Cloning needs the template without connections; clones of one template must not overlap on older servers.
    let name = format!("test_{}", Uuid::now_v7().simple());
    admin.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await.expect("the template clones");
    adopt(name)
}

/// A database with nothing in it.
pub async fn empty_database() -> TestDatabase {
    let name = format!("test_{}", Uuid::now_v7().simple());
    connect(&server())
        .await
        .batch_execute(&format!("CREATE DATABASE {name}"))
        .await
        .expect("the test user may create databases");
    adopt(name)
}

/// Gives the database of `owner`, a superuser, the newest schema and roles for services.
pub async fn bring_up(owner: &SecretString) {
    let (client, database) = (connect(owner).await, open(owner));
    migrate::migrate(&database, migrate::Mode::Apply).await.expect("the migrations apply");
    for role in [API, FLEET] {
        let make = format!(
            "DO $$ BEGIN CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        );
        client.batch_execute(&make).await.expect("the test user may create roles");
    }
    let more = format!("GRANT pg_read_all_stats TO {FLEET}; ALTER ROLE {FLEET} BYPASSRLS");
    client.batch_execute(&more).await.expect("a superuser may");
    let roles = migrate::ServiceRoles { api: API.to_owned(), fleet: FLEET.to_owned() };
    migrate::grant(&database, &roles).await.expect("the roles are there");
}

/// `url`, with which the API connects.
pub fn as_api(url: &SecretString) -> SecretString {
    as_role(url, API)
}

/// `url`, with which dispatchers and workers connect.
pub fn as_fleet(url: &SecretString) -> SecretString {
    as_role(url, FLEET)
}

/// `url` with the name and password of `role`.
fn as_role(url: &SecretString, role: &str) -> SecretString {
    let (scheme, rest) = url.expose_secret().split_once("://").expect("it is a URL");
    let (_, place) = rest.split_once('@').expect("it names its user");
    format!("{scheme}://{role}:{PASSWORD}@{place}").into()
}

fn adopt(name: String) -> TestDatabase {
    let url = url_of(&name);
    TestDatabase { database: open(&url), url, name: Some(name) }
}

pub(crate) fn open(url: &SecretString) -> Database {
    let config = DatabaseConfig { database_pool_size: 8, ..DatabaseConfig::default() };
    Database::new(&config, url).expect("the URL was made here")
}

fn server() -> SecretString {
    crate::setting("DRYDOCK_TEST_DATABASE_URL").into()
}

fn url_of(name: &str) -> SecretString {
    let server = server();
    let (base, _) =
        server.expose_secret().rsplit_once('/').expect("DRYDOCK_TEST_DATABASE_URL ends with a database name");
    format!("{base}/{name}").into()
}

/// A connection of no pool.
pub async fn connect(url: &SecretString) -> Client {
    let config: Config = url.expose_secret().parse().expect("it is a PostgreSQL URL");
    let (client, connection) = config.connect(NoTls).await.expect("the test's PostgreSQL answers");
    drydock_runtime::tasks::spawn("test connection", connection);
    client
}
