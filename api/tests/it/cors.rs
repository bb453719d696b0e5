//! CORS: allowed origins get their headers, others get none at all.

use reqwest::Method;

use crate::harness::{Answer, Api, config};

const HEADERS: [&str; 5] = [
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-allow-credentials",
    "access-control-max-age",
];

async fn preflight(api: &Api, origin: &str) -> Answer {
    let request = api.request(Method::OPTIONS, "/projects").header("origin", origin);
    Answer::of(request.header("access-control-request-method", "POST")).await
}

#[tokio::test]
async fn only_allowed_origins_are_told_anything() {
    let api = Api::start().await;
    let allowed = preflight(&api, "http://localhost:3000").await.expect(200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("http://localhost:3000"));
    assert_eq!(allowed.header("access-control-allow-methods"), Some("GET,POST,PUT,PATCH,DELETE,OPTIONS"));
    assert_eq!(
        allowed.header("access-control-allow-headers"),
        Some("authorization,content-type,if-match,idempotency-key")
    );
    assert_eq!(allowed.header("access-control-allow-credentials"), None);
    for path in ["/projects", "/nothing", "/projects/x"] {
        let answer = api.get_with(path, &[("origin", "http://127.0.0.1:3000")]).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("http://127.0.0.1:3000"), "{path}");
        assert!(answer.header("access-control-expose-headers").unwrap().contains("x-request-id"));
    }
    for other in ["http://localhost:3001", "https://localhost:3000", "http://localhost:3000.evil.example", "null"] {
        let refused = [
            preflight(&api, other).await.expect(405),
            api.get_with("/projects", &[("origin", other)]).await.expect(200),
        ];
        for answer in refused {
            assert!(HEADERS.iter().all(|name| answer.header(name).is_none()), "{other}: {answer:?}");
            assert!(answer.headers.get_all("vary").iter().any(|name| name == "origin"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn settings_decide() {
    let nobody = Api::start_with(&["--allow-origins", ""]).await;
    assert_eq!(preflight(&nobody, "http://localhost:3000").await.header("access-control-allow-origin"), None);
    let trusted =
        Api::start_with(&["--allow-origins", r#"["https://a.example"]"#, "--allow-credentials", "True"]).await;
    let answer = preflight(&trusted, "https://a.example").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://a.example"));
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    let anybody = Api::start_with(&["--allow-origins", "*"]).await;
    assert_eq!(preflight(&anybody, "https://b.example").await.header("access-control-allow-origin"), Some("*"));

    let arguments = ["--allow-origins", "*", "--allow-credentials", "true"];
    let (refused, _) = config(&nobody.database, &arguments);
    assert!(refused.check().unwrap_err().to_string().starts_with("ALLOW_ORIGINS"));
}
