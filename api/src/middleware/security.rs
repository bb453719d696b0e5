//! Headers that tell a browser to do nothing with an answer but hand it to who asked. On every answer, since files and logs are anyone's words, and
//! some day somebody opens one in a browser.

use std::time::Duration;

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};

/// What holds for all.
const FIXED: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(
            "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
             midi=(), payment=(), publickey-credentials-get=(), screen-wake-lock=(), serial=(), usb=(), xr-spatial-tracking=()",
        ),
    ),
];
/// Of what the API writes itself.
const OWN: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// Of bytes that are somebody's: files, archives, logs, patches.
const OF_OTHERS: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Where it is known that clients come by TLS, and nobody said for how long to remember it.
const A_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Completes the headers of an answer. A policy that the route has set stays; what nobody said may be kept, may not be.
pub(super) fn complete(response: &mut Response, hsts: Option<HeaderValue>) {
    // A cache takes over the headers of a 304 (RFC 9111 §3.2), and only files have those.
    let known = response.status() == StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    headers.extend(FIXED);
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let own = (kind.is_empty() && !known) || kind.starts_with(b"application/json");
        headers.insert(header::CONTENT_SECURITY_POLICY, if own { OWN } else { OF_OTHERS });
    }
    headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
    headers.extend(hsts.map(|hsts| (header::STRICT_TRANSPORT_SECURITY, hsts)));
}

/// `Strict-Transport-Security` (RFC 6797): as `set`, or where the client is known to have come by TLS. Zero is never.
pub(super) fn hsts(set: Option<Duration>, https: bool) -> Option<HeaderValue> {
    let lasts = set.or(https.then_some(A_YEAR)).filter(|lasts| !lasts.is_zero())?;
    HeaderValue::try_from(format!("max-age={}", lasts.as_secs())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_is_asked_for_where_it_is_known_or_set() {
        let told = |set: Option<u64>, https| {
            hsts(set.map(Duration::from_secs), https).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(told(None, false), None);
        assert_eq!(told(None, true).as_deref(), Some("max-age=31536000"));
        assert_eq!(told(Some(60), false).as_deref(), Some("max-age=60"));
        assert_eq!(told(Some(60), true).as_deref(), Some("max-age=60"));
        assert_eq!(told(Some(0), true), None);
    }
}
