//! The pool. Every connection has the same short leash: statement, lock and idle-in-transaction limits.

use std::{sync::Arc, time::Duration};

use deadpool_postgres::{Manager, ManagerConfig, Pool, QueueMode, RecyclingMethod, Runtime, Timeouts};
use drydock_domain::TenantId;
use drydock_runtime::{admin::Readiness, exit::chain, start};
use secrecy::{ExposeSecret as _, SecretString};
use tokio_postgres::{Config, NoTls};

use crate::{
    DatabaseConfig, DatabaseError, role,
    role::Service,
    schema,
    scope::{Scope, Scopes},
};

/// A pooled connection.
pub type Client = deadpool_postgres::Client;

/// How long a caller waits for a free connection.
const ACQUIRE: Duration = Duration::from_secs(10);

/// Of a pool's connections, at least so many see every tenant's rows: two of them send wake-ups.
const EVERY: usize = 4;

/// A cheap-to-clone handle on the database.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    /// Connections that see one tenant's rows, where they are apart.
    of_tenants: Option<Pool>,
    scopes: Arc<Scopes>,
    url: Config,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("hosts", &self.url.get_hosts()).finish_non_exhaustive()
    }
}

impl Database {
    /// A pool for `url`; connects when first used.
    ///
    /// # Errors
    /// The URL does not parse.
    pub fn new(config: &DatabaseConfig, url: &SecretString) -> Result<Self, DatabaseError> {
        let url = parse(config, url)?;
        Ok(Self { pool: pool(&url, config.database_pool_size.into()), of_tenants: None, scopes: Arc::default(), url })
    }

    /// With connections for tenants apart from those that see every tenant's rows, of which there are fewer, so that one need not often be
    /// told whose rows it sees.
    fn with_pool_of_tenants(self, config: &DatabaseConfig) -> Self {
        let all = usize::from(config.database_pool_size);
        let every = (all / 4).max(EVERY).min(all - 1);
        Self { pool: pool(&self.url, every), of_tenants: Some(pool(&self.url, all - every)), ..self }
    }

    /// The same server through one connection for leases: nobody else's work keeps it waiting, and its commits do not wait for
    /// the disk. It lives on the runtime that first uses it.
    #[must_use]
    pub fn for_leases(&self) -> Self {
        let mut url = self.url.clone();
        let options = url.get_options().unwrap_or_default().to_owned();
        url.options(format!("{options} -c synchronous_commit=off"));
        Self { pool: pool(&url, 1), of_tenants: None, scopes: Arc::default(), url }
    }

    /// A pool for `url` that has reached PostgreSQL and found the schema of this build, waiting for both at most
    /// `database_start_timeout`, and whose role may do no more than `service` needs.
    ///
    /// # Errors
    /// The URL does not parse, PostgreSQL cannot be reached in time, the schema is older than this build needs, or the role sees
    /// more than its tenants' rows.
    pub async fn connect(config: &DatabaseConfig, url: &SecretString, service: Service) -> Result<Self, DatabaseError> {
        let database = Self::new(config, url)?;
        // A role that may too much does not come to fit by waiting; one that lacks something may be granted it just now.
        let may_pass = |error: &DatabaseError| !matches!(error, DatabaseError::Excessive { .. });
        start::wait_for("the database", config.database_start_timeout, may_pass, || async {
            database.check().await?;
            role::check(&database.client().await?, service, config.insecure_database_role).await
        })
        .await?;
        Ok(if service == Service::Api { database.with_pool_of_tenants(config) } else { database })
    }

    /// Whether PostgreSQL answers and has the schema this build needs.
    ///
    /// # Errors
    /// It does not.
    pub async fn check(&self) -> Result<(), DatabaseError> {
        schema::check(&self.client().await?).await
    }

    /// Readiness of a process that works as long as the database does.
    pub fn readiness(&self) -> Readiness {
        let database = self.clone();
        Readiness::default().with("database", move || {
            let database = database.clone();
            async move { database.check().await.map_err(|error| chain(&error)) }
        })
    }

    /// A connection from the pool that sees the rows of every tenant.
    ///
    /// # Errors
    /// None became free, or none could be made, within ten seconds.
    pub async fn client(&self) -> Result<Client, DatabaseError> {
        self.scoped(&self.pool, Scope::Every).await
    }

    /// A connection from the pool that sees the rows of `tenant` alone, where its role does not own the tables.
    ///
    /// # Errors
    /// None became free, or none could be made, within ten seconds.
    pub async fn client_of(&self, tenant: TenantId) -> Result<Client, DatabaseError> {
        self.scoped(self.of_tenants.as_ref().unwrap_or(&self.pool), Scope::Tenant(tenant)).await
    }

    async fn scoped(&self, pool: &Pool, scope: Scope) -> Result<Client, DatabaseError> {
        let client = pool.get().await.map_err(DatabaseError::Pool)?;
        match self.scopes.enter(&client, scope).await {
            Ok(()) => Ok(client),
            Err(error) => {
                // The next one would get it first.
                discard(client);
                Err(error)
            }
        }
    }

    /// Connections now in the pool: (in use, idle).
    pub fn connections(&self) -> (usize, usize) {
        let pools = [Some(&self.pool), self.of_tenants.as_ref()];
        pools.into_iter().flatten().map(Pool::status).fold((0, 0), |(busy, idle), status| {
            (busy + status.size - status.available.min(status.size), idle + status.available)
        })
    }

    /// A connection outside the pool, for LISTEN and NOTIFY.
    pub(crate) const fn url(&self) -> &Config {
        &self.url
    }
}

/// Closes a connection instead of giving it back: whatever it still waits for would hold up its next user.
pub fn discard(client: Client) {
    drop(Client::take(client));
}

fn pool(url: &Config, size: usize) -> Pool {
    let manager = Manager::from_config(url.clone(), NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    let timeouts = Timeouts { wait: Some(ACQUIRE), create: Some(ACQUIRE), recycle: Some(ACQUIRE) };
    Pool::builder(manager)
        .max_size(size)
        // The connection used last knows the plans: few are kept busy, and not all of them half warm.
        .queue_mode(QueueMode::Lifo)
        .timeouts(timeouts)
        .runtime(Runtime::Tokio1)
        .build()
        .expect("a runtime is given, which is all that building asks for")
}

fn parse(config: &DatabaseConfig, url: &SecretString) -> Result<Config, DatabaseError> {
    let mut url: Config = url.expose_secret().parse().map_err(DatabaseError::Url)?;
    let given = url.get_options().unwrap_or_default().to_owned();
    // Every statement goes by an index, whatever its parameters are: planned once a connection, not five times or each time. Plans without
    // parameters look dear, more so under row security, and PostgreSQL would compile them each time: 0.4 s for a page of a list.
    url.options(format!(
        "{given} -c plan_cache_mode=force_generic_plan -c jit=off -c statement_timeout={} -c lock_timeout=10s \
         -c idle_in_transaction_session_timeout=10s -c timezone=UTC",
        config.database_statement_timeout.as_millis()
    ));
    url.connect_timeout(Duration::from_secs(5))
        .keepalives_idle(Duration::from_secs(15))
        .tcp_user_timeout(Duration::from_secs(30));
    if url.get_application_name().is_none() {
        url.application_name("drydock");
    }
    Ok(url)
}
