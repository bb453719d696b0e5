//! The public keys an issuer shows (JSON Web Key Set, RFC 7517 §5). A key is used for the algorithms of its kind alone: who signs with
//! another one, or takes a public key for a shared secret, finds no key.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// More are of no use to anybody.
const MAX_KEYS: usize = 64;
const RSA: [Algorithm; 6] =
    [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

/// An issuer's keys at one time.
pub(super) struct KeySet {
    /// Of the document: the same again is no change.
    pub(super) digest: blake3::Hash,
    keys: Vec<SigningKey>,
}

struct SigningKey {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// The keys of `document` that can be used; others are passed over, as §5 asks.
    pub(super) fn read(document: &[u8]) -> Result<Self, serde_json::Error> {
        let Document { keys } = serde_json::from_slice(document)?;
        let keys = keys.into_iter().filter_map(|key| serde_json::from_value(key).ok().and_then(|key| usable(&key)));
        Ok(Self { digest: blake3::hash(document), keys: keys.take(MAX_KEYS).collect() })
    }

    /// The key with this id, which only chooses among those shown; without an id the only one there is for the algorithm.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key.algorithms.contains(&algorithm) && id.is_none_or(|id| key.id.as_deref() == Some(id)));
        let first = fitting.next()?;
        fitting.next().is_none().then_some(&first.key)
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.keys.len()
    }
}

fn usable(jwk: &Jwk) -> Option<SigningKey> {
    let common = &jwk.common;
    let signs = common.public_key_use.as_ref().is_none_or(|its| *its == PublicKeyUse::Signature)
        && common.key_operations.as_ref().is_none_or(|its| its.contains(&KeyOperations::Verify));
    let of_kind: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &RSA,
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => &[Algorithm::ES256],
            EllipticCurve::P384 => &[Algorithm::ES384],
            _ => &[],
        },
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => &[Algorithm::EdDSA],
        // A shared secret, or what nobody knows.
        _ => &[],
    };
    let own = |algorithm: &Algorithm| common.key_algorithm.is_none_or(|its| its == KeyAlgorithm::from(*algorithm));
    let algorithms: Vec<Algorithm> = of_kind.iter().copied().filter(own).collect();
    if !signs || algorithms.is_empty() {
        return None;
    }
    Some(SigningKey { id: common.key_id.clone(), algorithms, key: DecodingKey::from_jwk(jwk).ok()? })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(keys: &Value, id: Option<&str>, algorithm: Algorithm) -> bool {
        let document = serde_json::to_vec(&json!({ "keys": keys })).unwrap();
        KeySet::read(&document).unwrap().find(id, algorithm).is_some()
    }

    #[test]
    fn a_key_is_for_its_own_kind_alone() {
        let rsa = json!({"kty": "RSA", "kid": "a", "n": "sXch", "e": "AQAB"});
        let (p256, p384) = (
            json!({"kty": "EC", "crv": "P-256", "x": "f83O", "y": "x_FE"}),
            json!({"kty": "EC", "crv": "P-384", "x": "f83O", "y": "x_FE"}),
        );
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qY"});
        let secret = json!({"kty": "oct", "kid": "a", "k": "c2VjcmV0", "alg": "HS256"});
        let with = |key: &Value, name: &str, value: Value| {
            let mut key = key.clone();
            key[name] = value;
            key
        };
        use Algorithm::{ES256, ES384, EdDSA, HS256, PS256, RS256};
        let cases = [
            (&rsa, vec![RS256, PS256]),
            (&with(&rsa, "alg", json!("RS256")), vec![RS256]),
            (&with(&rsa, "use", json!("sig")), vec![RS256, PS256]),
            (&with(&rsa, "use", json!("enc")), vec![]),
            (&with(&rsa, "alg", json!("HS256")), vec![]),
            (&with(&rsa, "key_ops", json!(["verify"])), vec![RS256, PS256]),
            (&with(&rsa, "key_ops", json!(["encrypt"])), vec![]),
            (&p256, vec![ES256]),
            (&p384, vec![ES384]),
            (&ed, vec![EdDSA]),
            (&secret, vec![]),
            (&json!({"kty": "moon"}), vec![]),
            (&json!("no key"), vec![]),
        ];
        for (key, fits) in cases {
            for algorithm in [HS256, RS256, PS256, ES256, ES384, EdDSA] {
                assert_eq!(found(&json!([key]), None, algorithm), fits.contains(&algorithm), "{key} {algorithm:?}");
            }
        }
    }

    #[test]
    fn an_id_chooses_and_without_one_there_is_no_guessing() {
        let key = |id: &str| json!({"kty": "RSA", "kid": id, "n": "sXch", "e": "AQAB"});
        let two = json!([key("a"), key("b")]);
        let cases = [
            (Some("a"), true),
            (Some("b"), true),
            (Some("A"), false),
            (Some("../a"), false),
            (Some(""), false),
            (None, false),
        ];
        for (id, expected) in cases {
            assert_eq!(found(&two, id, Algorithm::RS256), expected, "{id:?}");
        }
        assert!(!found(&json!([key("a"), key("a")]), Some("a"), Algorithm::RS256), "which of them?");
    }
}
