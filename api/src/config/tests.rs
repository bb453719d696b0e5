use clap::Parser as _;

use super::*;

fn config(arguments: &[&str]) -> ApiConfig {
    let given = ["drydock-api", "--s3-bucket", "b"].into_iter().chain(arguments.iter().copied());
    ApiConfig::try_parse_from(given).unwrap()
}

#[test]
fn lists_are_trimmed_and_may_be_json() {
    let cases: [(&str, &[&str]); 7] = [
        ("", &[]),
        ("  ", &[]),
        ("a", &["a"]),
        (" a , b,", &["a", "b"]),
        (r#"["a", " b "]"#, &["a", "b"]),
        ("[]", &[]),
        ("*", &["*"]),
    ];
    for (text, items) in cases {
        assert_eq!(text.parse::<List>().unwrap().0, items, "{text:?}");
    }
    assert!("[1]".parse::<List>().is_err());
}

#[test]
fn flags_have_the_usual_spellings() {
    for (text, value) in [("True", true), (" yes ", true), ("1", true), ("False", false), ("", false), ("off", false)] {
        assert_eq!(cors::flag(text), Ok(Flag(value)), "{text:?}");
    }
    assert!(cors::flag("maybe").is_err());
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let cases: [(&[&str], Option<&str>); 4] = [
        (&[], None),
        (&["--allow-origins", "*"], None),
        (&["--allow-origins", "*", "--allow-credentials", "True"], Some("ALLOW_ORIGINS")),
        (&["--allow-headers", "a,*", "--allow-credentials", "true"], Some("ALLOW_HEADERS")),
    ];
    for (arguments, refused) in cases {
        let error = config(arguments).check().err().map(|error| error.to_string());
        assert_eq!(error.is_some(), refused.is_some(), "{arguments:?}: {error:?}");
        assert!(error.is_none_or(|text| text.starts_with(refused.unwrap())), "{arguments:?}");
    }
}

#[test]
fn the_cors_defaults_are_the_documented_ones() {
    let cors = config(&[]).cors;
    assert_eq!(cors.allow_origins.0, ["http://localhost:3000", "http://127.0.0.1:3000"]);
    assert_eq!(cors.allow_methods.0, ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
    assert_eq!(cors.allow_headers.0, ["Authorization", "Content-Type", "If-Match", "Idempotency-Key"]);
    assert_eq!(cors.allow_credentials, Flag(false));
}

#[test]
fn proxies_are_addresses_and_networks() {
    let proxies = config(&["--trusted-proxies", "10.0.0.0/8, 192.0.2.1,2001:db8::/32"]).trusted_proxies;
    let cases = [
        ("10.1.2.3", true),
        ("::ffff:10.1.2.3", true),
        ("11.0.0.1", false),
        ("192.0.2.1", true),
        ("192.0.2.2", false),
        ("2001:db8:1::1", true),
        ("2001:db9::1", false),
    ];
    for (address, trusted) in cases {
        assert_eq!(proxies.has(address.parse().unwrap()), trusted, "{address}");
    }
    assert!(!config(&[]).trusted_proxies.has("127.0.0.1".parse().unwrap()), "nobody is by default");
    assert!("10.0.0.0/33".parse::<Networks>().unwrap_err().contains("'10.0.0.0/33' is neither"));
    assert!("proxy.internal".parse::<Networks>().is_err());
}
