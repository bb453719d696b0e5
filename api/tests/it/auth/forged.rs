//! What no token gets past, and what is unusual and right. Each fault beside a token that has it not.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, get_current_timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    issuer::{DISCOVERY, Issuer, KEYS, encoded},
    tokens::{DEFAULT_TENANT, refusal, taking},
};
use crate::harness::Answer;

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table of all that may be wrong with a token")]
async fn no_token_gets_past_the_checks() {
    let issuer = Issuer::start().await;
    let evil = Issuer::start().await;
    let (api, _file) = taking(&issuer, DEFAULT_TENANT, &[]).await;
    let now = get_current_timestamp();
    let claims = |others: Value| issuer.claims(&others);
    let with = |others: Value| issuer.token(&others);
    let header = |more: Value| {
        let mut header = json!({"alg": "RS256", "typ": "JWT", "kid": "first"});
        more.as_object().unwrap().iter().for_each(|(name, value)| header[name] = value.clone());
        header
    };
    let good = with(json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let [head, body, signature] = parts[..] else { panic!("three parts") };
    let unsigned = |alg: &str| format!("{}.{body}.", encoded(&json!({"alg": alg, "typ": "JWT"})));
    let modulus = issuer.rsa.public()["n"].as_str().unwrap().to_owned();
    let shared = |secret: &[u8]| {
        let message = format!("{}.{body}", encoded(&header(json!({"alg": "HS256"}))));
        let key = jsonwebtoken::EncodingKey::from_secret(secret).unwrap();
        format!("{message}.{}", jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap())
    };
    let own = evil.rsa.public();
    let lacking = "Token lacks one of exp, iat, iss, aud and sub";
    let (malformed, signed) = ("Malformed token", "Token is not signed by the key it names");
    let hidden = "Token is not signed by a key that its issuer shows";
    let cases = [
        ("no algorithm", unsigned("none"), malformed),
        ("no algorithm, in capitals", unsigned("NONE"), malformed),
        ("no algorithm, with the signature", format!("{}{signature}", unsigned("none")), malformed),
        ("a public key as a secret", shared(modulus.as_bytes()), "Token is signed in a way"),
        (
            "a public key's bytes as a secret",
            shared(&URL_SAFE_NO_PAD.decode(&modulus).unwrap()),
            "Token is signed in a way",
        ),
        (
            "an algorithm that is not listed",
            issuer.rsa.sign_with(&header(json!({"alg": "PS256"})), &claims(json!({}))),
            "Token is signed in a way",
        ),
        (
            "another algorithm than the key's",
            issuer.rsa.sign_with(&header(json!({"alg": "ES256"})), &claims(json!({}))),
            hidden,
        ),
        ("no signature", format!("{head}.{body}."), signed),
        ("half a signature", format!("{head}.{body}.{}", &signature[..168]), signed),
        ("other claims", format!("{head}.{}.{signature}", encoded(&claims(json!({"sub": "root"})))), signed),
        ("another header", format!("{}.{body}.{signature}", encoded(&header(json!({"x": 1})))), signed),
        ("another's key", evil.rsa.sign(&claims(json!({}))), signed),
        ("another issuer", with(json!({"iss": evil.url})), "Token is of an issuer that is not known"),
        ("an issuer with a slash more", with(json!({"iss": format!("{}/", issuer.url)})), "Token is of an issuer"),
        ("two issuers", with(json!({"iss": [issuer.url, evil.url]})), malformed),
        ("no issuer", with(json!({"iss": null})), malformed),
        ("another audience", with(json!({"aud": "elsewhere"})), "Token is for somebody else"),
        ("other audiences", with(json!({"aud": ["elsewhere", "drydock2", "Drydock"]})), "Token is for somebody else"),
        ("no audience", with(json!({"aud": null})), lacking),
        ("an empty list of audiences", with(json!({"aud": []})), "Token is for somebody else"),
        ("an audience that is no text", with(json!({"aud": {"drydock": true}})), lacking),
        ("long over", with(json!({"exp": now - 3600})), "Token has expired"),
        ("over by more than clocks differ", with(json!({"exp": now - 40})), "Token has expired"),
        ("no end", with(json!({"exp": null})), lacking),
        ("an end that is a text", with(json!({"exp": format!("{}", now + 600)})), lacking),
        ("an end that is a list", with(json!({"exp": [now + 600]})), malformed),
        ("an end before all time", with(json!({"exp": -1})), ""),
        ("not yet", with(json!({"nbf": now + 3600})), "Token does not count yet"),
        ("not yet, as a text", with(json!({"nbf": format!("{}", now + 3600)})), lacking),
        ("of the future", with(json!({"iat": now + 3600})), "Token was issued in the future"),
        ("of no time", with(json!({"iat": null})), lacking),
        ("of nobody", with(json!({"sub": null})), lacking),
        ("of an empty somebody", with(json!({"sub": ""})), "Token has no subject"),
        ("a key nobody has", issuer.rsa.sign_with(&header(json!({"kid": "second"})), &claims(json!({}))), hidden),
        (
            "a path as a key",
            issuer.rsa.sign_with(&header(json!({"kid": "../../../../dev/null"})), &claims(json!({}))),
            hidden,
        ),
        ("SQL as a key", issuer.rsa.sign_with(&header(json!({"kid": "' OR 1=1 --"})), &claims(json!({}))), hidden),
        (
            "keys from elsewhere",
            evil.rsa.sign_with(&header(json!({"jku": format!("{}/keys", evil.url)})), &claims(json!({}))),
            signed,
        ),
        (
            "a certificate from elsewhere",
            evil.rsa.sign_with(&header(json!({"x5u": format!("{}/keys", evil.url)})), &claims(json!({}))),
            signed,
        ),
        ("its own key", evil.rsa.sign_with(&header(json!({"jwk": own})), &claims(json!({}))), signed),
        (
            "its own key, and no other named",
            evil.rsa.sign_with(&json!({"alg": "RS256", "jwk": own}), &claims(json!({}))),
            signed,
        ),
        (
            "what has to be understood and is not",
            issuer.rsa.sign_with(&header(json!({"crit": ["exp2"], "exp2": 1})), &claims(json!({}))),
            malformed,
        ),
        (
            "a logout token",
            issuer.rsa.sign_with(&header(json!({"typ": "logout+jwt"})), &claims(json!({}))),
            "Token is of another kind",
        ),
        (
            "a proof",
            issuer.rsa.sign_with(&header(json!({"typ": "dpop+jwt"})), &claims(json!({}))),
            "Token is of another kind",
        ),
        ("no JSON", format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode("{"), URL_SAFE_NO_PAD.encode("{")), malformed),
        ("nothing at all", "..".to_owned(), malformed),
        ("encrypted", format!("{head}.{body}.{signature}.{body}.{signature}"), "Malformed API key"),
        ("very long", with(json!({"more": "x".repeat(20_000)})), "Token is too long"),
    ];
    for (number, (what, token, expected)) in cases.iter().enumerate() {
        let told = refusal(&api, token, 401).await;
        assert!(told.starts_with(expected), "{what}: {told}");
        // The counterpart, each time anew: but for the fault it would be let in.
        api.get_as(&with(json!({"n": number})), "/projects").await.expect(200);
    }
    let twice = api.request(Method::GET, "/projects").bearer_auth(&good).bearer_auth(&good);
    Answer::of(twice).await.expect(401);
    api.get(&format!("/projects?access_token={good}")).await.expect(401);
    assert_eq!((evil.asked(KEYS), evil.asked(DISCOVERY)), (0, 0), "nobody was led elsewhere");
}

#[tokio::test]
async fn what_is_unusual_and_right_is_taken() {
    let issuer = Issuer::start().await;
    let evil = Issuer::start().await;
    let (api, _file) = taking(&issuer, DEFAULT_TENANT, &[]).await;
    let now = get_current_timestamp();
    let signed = |header: Value| issuer.rsa.sign_with(&header, &issuer.claims(&json!({})));
    let cases = [
        ("over, but clocks differ", issuer.token(&json!({"exp": now - 10}))),
        ("not yet, but clocks differ", issuer.token(&json!({"nbf": now + 10, "iat": now + 10}))),
        ("one of its audiences", issuer.token(&json!({"aud": ["elsewhere", "drydock-cli"]}))),
        ("a fraction of a second", issuer.token(&json!({"exp": (now + 600) as f64 + 0.5}))),
        ("an access token", signed(json!({"alg": "RS256", "typ": "application/at+JWT", "kid": "first"}))),
        ("no key named, and only one there is", signed(json!({"alg": "RS256"}))),
        (
            "addresses that are not looked at",
            signed(
                json!({"alg": "RS256", "kid": "first", "jku": format!("{}/keys", evil.url), "x5u": "file:///etc/passwd"}),
            ),
        ),
    ];
    for (what, token) in cases {
        let answer = api.get_as(&token, "/projects").await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.json());
    }
    assert_eq!(evil.asked(KEYS), 0);
}
