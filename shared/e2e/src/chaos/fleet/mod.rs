//! The services of a run: two APIs, two dispatchers, three workers, each behind proxies of its own, started again when they end.

mod keeper;
mod service;
mod settings;

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tokio::time::{Instant, sleep};

pub(crate) use self::{
    keeper::keep,
    service::{Link, Role, Service},
    settings::Common,
};
use super::servers::Servers;

/// The parts and how many there are of each.
pub(crate) const FLEET: [(Role, usize); 3] = [(Role::Api, 2), (Role::Dispatcher, 2), (Role::Worker, 3)];
/// How long all of them may take to be ready.
const START: Duration = Duration::from_secs(60);

/// All services.
pub(crate) struct Fleet {
    services: Vec<Service>,
}

impl Fleet {
    /// Starts every service and waits until all are ready.
    ///
    /// # Errors
    /// One does not become ready.
    pub(crate) async fn start(servers: &Servers, common: &Common, directory: &Path) -> Result<Self> {
        let mut services = Vec::new();
        for (role, count) in FLEET {
            for number in 1..=count {
                services.push(Service::start(role, number, servers, common, directory).await?);
            }
        }
        let fleet = Self { services };
        fleet.ready(START).await?;
        Ok(fleet)
    }

    /// The services, APIs first.
    pub(crate) fn services(&self) -> &[Service] {
        &self.services
    }

    /// Those of one role.
    pub(crate) fn of(&self, role: Role) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(move |service| service.role == role)
    }

    /// The one with this name.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn named(&self, name: &str) -> Result<&Service> {
        self.services.iter().find(|service| service.name == name).with_context(|| format!("there is no {name}"))
    }

    /// Addresses of the APIs.
    pub(crate) fn bases(&self) -> Vec<String> {
        self.of(Role::Api).filter_map(|api| api.base.clone()).collect()
    }

    /// Waits until all are ready.
    ///
    /// # Errors
    /// One is not, within `patience`.
    pub(crate) async fn ready(&self, patience: Duration) -> Result<()> {
        let end = Instant::now() + patience;
        for service in &self.services {
            while !service.is_ready().await {
                ensure!(Instant::now() < end, "{} is not ready after {patience:?}: see its log", service.name);
                sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// Asks every service to stop, workers first, and returns those that did not end well in time.
    pub(crate) async fn stop(&self, patience: Duration) -> Vec<String> {
        let mut bad = Vec::new();
        for role in [Role::Worker, Role::Dispatcher, Role::Api] {
            let ending = self.of(role).map(|service| service.stop(patience));
            bad.extend(futures_util::future::join_all(ending).await.into_iter().flatten());
        }
        bad
    }
}
