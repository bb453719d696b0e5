//! A trailing slash is accepted everywhere: it is taken off before routing.

use axum::http::{Request, Uri, uri::PathAndQuery};

/// `/a/b/?q` becomes `/a/b?q`. Exactly one slash goes, so that an absolute file path keeps looking like one.
pub(crate) fn without_trailing_slash<B>(mut request: Request<B>) -> Request<B> {
    if let Some(uri) = shortened(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

fn shortened(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/').filter(|path| !path.is_empty())?;
    let path = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slash_goes() {
        let cases = [
            ("/", None),
            ("/a", None),
            ("/a/", Some("/a")),
            ("/a/?b=/", Some("/a?b=/")),
            ("/files//", Some("/files/")),
            ("//", Some("/")),
            ("http://host/a/", Some("http://host/a")),
        ];
        for (given, expected) in cases {
            let uri = shortened(&given.parse().unwrap()).map(|uri| uri.to_string());
            assert_eq!(uri.as_deref(), expected, "{given}");
        }
    }
}
