//! `Trust`: the authorities that vouch for endpoints.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::refusal::Refusal;

/// Read when the first endpoint is asked, since it takes some milliseconds, and then kept. A failure is not kept: certificates may come.
#[derive(Debug, Default)]
pub(crate) struct Trust {
    /// Instead of the host's.
    given: Option<RootCertStore>,
    read: OnceLock<Arc<ClientConfig>>,
}

impl Trust {
    pub(crate) fn of(roots: RootCertStore) -> Self {
        Self { given: Some(roots), read: OnceLock::new() }
    }

    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, Refusal> {
        self.config_from(|| self.given.clone().map_or_else(system, Ok)).map_err(Refusal::Trust)
    }

    fn config_from(&self, roots: impl FnOnce() -> Result<RootCertStore, String>) -> Result<Arc<ClientConfig>, String> {
        if let Some(read) = self.read.get() {
            return Ok(read.clone());
        }
        let read = client(roots()?)?;
        Ok(self.read.get_or_init(|| read).clone())
    }
}

/// The host's authorities; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
fn system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    match roots.is_empty() {
        true => Err(found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string)),
        false => Ok(roots),
    }
}

fn client(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_to_read_certificates_is_over_when_they_can_be_read() {
        let trust = Trust::default();
        let failing = || Err("there are none".to_owned());
        assert_eq!(trust.config_from(failing).map(drop), Err("there are none".to_owned()));
        let read = trust.config_from(|| Ok(RootCertStore::empty())).unwrap();
        assert!(Arc::ptr_eq(&read, &trust.config_from(failing).unwrap()), "they are kept");
    }
}
