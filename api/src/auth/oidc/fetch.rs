//! Fetching an issuer's keys: its discovery document (OIDC Discovery 1.0, §4) and the keys that names. Where they come from is
//! decided by the settings alone, never by a token.

use std::time::Duration;

use drydock_runtime::exit::Exit;
use reqwest::{Client, StatusCode, Url, redirect::Policy};
use serde::Deserialize;

use super::{
    key_set::KeySet,
    settings::{is_loopback, is_trusted},
};

const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest document, in bytes.
const MAX_DOCUMENT: usize = 512 * 1024;

/// Why an issuer's keys are not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("{url} does not answer")]
    Away { url: String, source: reqwest::Error },
    #[error("{0} answers {1}")]
    Status(String, StatusCode),
    #[error("{0} is larger than {MAX_DOCUMENT} bytes")]
    TooLarge(String),
    #[error("{url} is not what was expected")]
    Shape { url: String, source: serde_json::Error },
    #[error("it calls itself '{0}', which is another issuer: correct `url`")]
    OtherIssuer(String),
    #[error("its keys are at '{0}', which is neither https:// nor this host")]
    Untrusted(String),
    #[error("{0} has no key that could be used")]
    NoKeys(String),
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// What asks the issuer at `url`: it follows nobody elsewhere.
///
/// # Errors
/// TLS cannot be set up.
pub(super) fn client(url: &str) -> Result<Client, Exit> {
    // Already installed is as good.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder().timeout(TIMEOUT).redirect(Policy::none()).user_agent("drydock-api");
    if Url::parse(url).is_ok_and(|url| is_loopback(&url)) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| Exit::Failure(error.into()))
}

/// The keys that `issuer` shows now.
///
/// # Errors
/// It does not answer, or not as it should.
pub(super) async fn keys(http: &Client, issuer: &str) -> Result<KeySet, FetchError> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let document = get(http, &url).await?;
    let shape = |url: &str| {
        let url = url.to_owned();
        move |source| FetchError::Shape { url, source }
    };
    let Discovery { issuer: own, jwks_uri } = serde_json::from_slice(&document).map_err(shape(&url))?;
    if own != issuer {
        return Err(FetchError::OtherIssuer(own));
    }
    // Keys over plain HTTP only of an issuer that is on this host itself.
    let here = Url::parse(issuer).is_ok_and(|issuer| is_loopback(&issuer));
    if !Url::parse(&jwks_uri).is_ok_and(|url| is_trusted(&url) && (here || url.scheme() == "https")) {
        return Err(FetchError::Untrusted(jwks_uri));
    }
    let keys = KeySet::read(&get(http, &jwks_uri).await?).map_err(shape(&jwks_uri))?;
    if keys.len() == 0 { Err(FetchError::NoKeys(jwks_uri)) } else { Ok(keys) }
}

async fn get(http: &Client, url: &str) -> Result<Vec<u8>, FetchError> {
    let away = |source| FetchError::Away { url: url.to_owned(), source };
    let mut answer = http.get(url).header("accept", "application/json").send().await.map_err(away)?;
    if answer.status() != StatusCode::OK {
        return Err(FetchError::Status(url.to_owned(), answer.status()));
    }
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(away)? {
        if body.len() + part.len() > MAX_DOCUMENT {
            return Err(FetchError::TooLarge(url.to_owned()));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}
