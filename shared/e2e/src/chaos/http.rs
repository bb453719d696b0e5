//! The HTTP client of a run.

use std::{sync::OnceLock, time::Duration};

/// Longer than any answer takes that anybody still waits for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The one client.
pub(crate) fn client() -> &'static reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE).connect_timeout(Duration::from_secs(1));
        builder.build().expect("these settings are usable")
    })
}
