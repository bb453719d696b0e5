//! Requests that a proxy in front may take for another host's than they are taken for here (RFC 9112 §3.2). Where a request ends is the HTTP
//! implementation's to say; a test says that it does.

use axum::{
    extract::Request,
    http::{HeaderValue, Version, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::error::ApiError;

/// Refuses a request without the one `Host` that it is for, and ends the connection.
pub(crate) async fn unambiguous(request: Request, next: Next) -> Response {
    let Some(fault) = fault(&request) else { return next.run(request).await };
    let old = request.version() < Version::HTTP_2;
    let mut response = ApiError::BadRequest(fault.into()).into_response();
    if old {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn fault<B>(request: &axum::http::Request<B>) -> Option<&'static str> {
    let headers = request.headers();
    let mut hosts = headers.get_all(header::HOST).iter();
    let (host, more, authority) = (hosts.next(), hosts.next(), request.uri().authority());
    if more.is_some() {
        return Some("Host should be given once");
    }
    if host.is_none() && request.version() == Version::HTTP_11 {
        return Some("Host is missing");
    }
    if let (Some(host), Some(authority)) = (host, authority)
        && !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes())
    {
        return Some("Host should be that of the URL");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_for_one_host() {
        let cases: [(Version, &str, &[&str], bool); 12] = [
            (Version::HTTP_11, "/a", &["x"], true),
            (Version::HTTP_11, "/a", &[""], true),
            (Version::HTTP_11, "/a", &[], false),
            (Version::HTTP_11, "/a", &["x", "x"], false),
            (Version::HTTP_10, "/a", &[], true),
            (Version::HTTP_10, "/a", &["x", "y"], false),
            (Version::HTTP_11, "http://x:1/a", &["X:1"], true),
            (Version::HTTP_11, "http://x:1/a", &["x"], false),
            (Version::HTTP_2, "http://x/a", &[], true),
            (Version::HTTP_2, "http://x/a", &["x"], true),
            (Version::HTTP_2, "http://x/a", &["y"], false),
            (Version::HTTP_2, "/a", &["y"], true),
        ];
        for (version, uri, hosts, taken) in cases {
            let mut request = axum::http::Request::builder().version(version).uri(uri);
            for host in hosts {
                request = request.header(header::HOST, *host);
            }
            assert_eq!(fault(&request.body(()).unwrap()).is_none(), taken, "{version:?} {uri} {hosts:?}");
        }
    }
}
