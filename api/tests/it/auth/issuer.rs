//! An OIDC issuer in this process: the discovery document and the keys, served over HTTP, and tokens signed with keys made here.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair,
    },
};
use axum::{
    Router,
    http::{StatusCode, Uri, header},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use drydock_runtime::tasks;
use jsonwebtoken::{Algorithm, EncodingKey, get_current_timestamp, jwk::Jwk};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::net::TcpListener;

/// Where its keys are.
pub(crate) const KEYS: &str = "/realm/keys";
/// Where its discovery document is.
pub(crate) const DISCOVERY: &str = "/realm/.well-known/openid-configuration";

/// A key pair of an issuer's.
pub(crate) struct Pair {
    pub(crate) id: String,
    pub(crate) algorithm: Algorithm,
    key: EncodingKey,
}

impl Pair {
    pub(crate) fn new(id: &str, algorithm: Algorithm) -> Self {
        let random = SystemRandom::new();
        let key = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => {
                let curve = if algorithm == Algorithm::ES256 {
                    &ECDSA_P256_SHA256_FIXED_SIGNING
                } else {
                    &ECDSA_P384_SHA384_FIXED_SIGNING
                };
                EncodingKey::from_ec_der(EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap().as_ref())
            }
            Algorithm::EdDSA => EncodingKey::from_ed_der(Ed25519KeyPair::generate_pkcs8v1(&random).unwrap().as_ref()),
            _ => {
                let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
                let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
                // The key inside of the PKCS #8 wrapping (RFC 5208 §5), whose length is the same for all of this size.
                EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..])
            }
        };
        Self { id: id.to_owned(), algorithm, key }
    }

    /// What the issuer shows of it.
    pub(crate) fn public(&self) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap()).unwrap();
        jwk["kid"] = self.id.clone().into();
        jwk["use"] = "sig".into();
        jwk
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({"alg": format!("{:?}", self.algorithm), "typ": "JWT", "kid": self.id}), claims)
    }

    /// With this header as well, whatever it says.
    pub(crate) fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header), encoded(claims));
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }
}

/// A part of a token.
pub(crate) fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

/// What is served, by path, and what was asked for.
#[derive(Default)]
struct Served {
    pages: HashMap<String, (StatusCode, String)>,
    asked: Vec<String>,
}

/// A running issuer.
pub(crate) struct Issuer {
    pub(crate) url: String,
    pub(crate) rsa: Pair,
    served: Arc<Mutex<Served>>,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into()).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}/realm", listener.local_addr().unwrap());
        let served = Arc::new(Mutex::new(Served::default()));
        let shown = Arc::clone(&served);
        let router = Router::new().fallback(async move |uri: Uri| {
            let mut served = shown.lock().unwrap();
            served.asked.push(uri.path().to_owned());
            let (status, body) =
                served.pages.get(uri.path()).cloned().unwrap_or((StatusCode::NOT_FOUND, String::new()));
            let location = if status.is_redirection() { body.clone() } else { String::new() };
            (status, [(header::LOCATION, location)], body)
        });
        tasks::spawn("issuer", async move { axum::serve(listener, router).await });
        let issuer = Self { url, rsa: Pair::new("first", Algorithm::RS256), served };
        issuer.show(&[&issuer.rsa]);
        issuer.serve(DISCOVERY, &issuer.discovery().to_string());
        issuer
    }

    pub(crate) fn discovery(&self) -> Value {
        json!({"issuer": self.url, "jwks_uri": format!("{}/keys", self.url), "id_token_signing_alg_values_supported": ["RS256", "none"]})
    }

    /// Shows these keys, and no others, from now on.
    pub(crate) fn show(&self, pairs: &[&Pair]) {
        let keys: Vec<Value> = pairs.iter().map(|pair| pair.public()).collect();
        self.serve(KEYS, &json!({ "keys": keys }).to_string());
    }

    pub(crate) fn serve(&self, path: &str, body: &str) {
        self.answer(path, StatusCode::OK, body);
    }

    pub(crate) fn answer(&self, path: &str, status: StatusCode, body: &str) {
        self.served.lock().unwrap().pages.insert(path.to_owned(), (status, body.to_owned()));
    }

    /// How often a path was asked for.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.served.lock().unwrap().asked.iter().filter(|asked| *asked == path).count()
    }

    /// Claims of a token that counts, with others in place of some; null takes one out.
    pub(crate) fn claims(&self, others: &Value) -> Value {
        let now = get_current_timestamp();
        let mut claims = json!({"iss": self.url, "aud": "drydock", "sub": "ada-1", "iat": now, "exp": now + 600,
                                "name": "Ada", "groups": ["staff"]});
        for (name, value) in others.as_object().unwrap() {
            claims[name] = value.clone();
            if value.is_null() {
                claims.as_object_mut().unwrap().remove(name);
            }
        }
        claims
    }

    /// A token signed with the RSA key.
    pub(crate) fn token(&self, others: &Value) -> String {
        self.rsa.sign(&self.claims(others))
    }

    /// Its table of the settings.
    pub(crate) fn settings(&self, more: &str) -> String {
        format!(
            "[[issuer]]\nurl = '{}'\naudience = ['drydock', 'drydock-cli']\nrefresh = '1h'\n{more}\n\
             role = {{ claim = 'groups', values = [['admins', 'owner'], ['staff', 'member'], ['guests', 'viewer']] }}\n",
            self.url
        )
    }
}

/// Settings as a file.
pub(crate) fn file(text: &str) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    fs_err::write(file.path(), text).unwrap();
    file
}
