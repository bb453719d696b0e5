//! `Vault`: secrets at rest. Sealed: a byte for the form, the nonce, then ChaCha20-Poly1305 (RFC 8439) of the secret with the webhook's id
//! as associated data. Nonces are random: a key seals one message for each creation and rotation, far fewer than the 2³² that 96 bits bear.

use std::fmt;

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use drydock_domain::WebhookId;
use drydock_runtime::config::{ConfigError, optional_secret};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::ExposeSecret as _;

use crate::secret::SigningSecret;

/// The setting that holds the keys.
pub const KEY: &str = "DRYDOCK_WEBHOOK_KEY";

const FORM: u8 = 1;
/// With or without the `=` at the end: some readers of settings drop it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The keys that seal and open.
#[derive(Clone)]
pub struct Vault {
    /// The first seals.
    keys: Vec<LessSafeKey>,
}

/// None of the keys opens it: it was sealed with another, for another webhook, or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signing secret was sealed with a key that DRYDOCK_WEBHOOK_KEY does not have")]
pub struct Unopened;

impl Vault {
    /// Reads the keys from `DRYDOCK_WEBHOOK_KEY` or the file that `DRYDOCK_WEBHOOK_KEY_FILE` names; none where neither is set.
    ///
    /// # Errors
    /// What is set is no such key.
    pub fn from_env() -> Result<Option<Self>, ConfigError> {
        let Some(text) = optional_secret(KEY)? else { return Ok(None) };
        Self::from_text(text.expose_secret()).map(Some)
    }

    /// Keys of 32 bytes in base64, separated by commas.
    ///
    /// # Errors
    /// There is none, or one is not.
    pub fn from_text(text: &str) -> Result<Self, ConfigError> {
        let key = |text: &str| {
            let bytes = BASE64.decode(text.trim()).ok()?;
            Some(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &bytes).ok()?))
        };
        let keys: Option<Vec<_>> = text.split(',').map(key).collect();
        let reason =
            "should be 32 random bytes in base64, as `openssl rand -base64 32` writes; several separated by commas";
        let keys = keys.ok_or_else(|| ConfigError::Invalid { name: KEY, reason: reason.to_owned() })?;
        Ok(Self { keys })
    }

    /// Seals the secret of the webhook `of`.
    pub fn seal(&self, of: WebhookId, secret: &SigningSecret) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut text = secret.bytes().to_vec();
        let sealed = self.keys[0].seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), about(of), &mut text);
        sealed.expect("a secret is far shorter than the longest message");
        [&[FORM][..], &nonce, &text].concat()
    }

    /// Opens what [`Self::seal`] made for the webhook `of`.
    ///
    /// # Errors
    /// No key of this process opens it.
    pub fn open(&self, of: WebhookId, sealed: &[u8]) -> Result<SigningSecret, Unopened> {
        let (nonce, text) = parts(sealed).ok_or(Unopened)?;
        self.keys
            .iter()
            .find_map(|key| {
                let mut text = text.to_vec();
                let open = key.open_in_place(Nonce::assume_unique_for_key(nonce), about(of), &mut text).ok()?;
                Some(SigningSecret::from_bytes(open.to_vec()))
            })
            .ok_or(Unopened)
    }
}

fn parts(sealed: &[u8]) -> Option<([u8; NONCE_LEN], &[u8])> {
    let (nonce, text) = sealed.strip_prefix(&[FORM])?.split_at_checked(NONCE_LEN)?;
    Some((nonce.try_into().ok()?, text))
}

fn about(of: WebhookId) -> Aad<[u8; 16]> {
    Aad::from(of.uuid().into_bytes())
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("keys", &self.keys.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> String {
        BASE64.encode([byte; 32])
    }

    #[test]
    fn what_was_sealed_opens_for_its_webhook_alone() {
        let vault = Vault::from_text(&key(1)).unwrap();
        let (hook, secret) = (WebhookId::generate(), SigningSecret::generate());
        let sealed = vault.seal(hook, &secret);
        assert_eq!(vault.open(hook, &sealed).unwrap().bytes(), secret.bytes());
        assert!(!sealed.windows(8).any(|window| window == &secret.bytes()[..8]), "it is there in clear");
        assert_ne!(sealed, vault.seal(hook, &secret), "each time with another nonce");
        assert_eq!(vault.open(WebhookId::generate(), &sealed).err(), Some(Unopened));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(vault.open(hook, &changed).err(), Some(Unopened), "byte {at}");
        }
        for cut in [0, 1, 12, 13, sealed.len() - 1] {
            assert_eq!(vault.open(hook, &sealed[..cut]).err(), Some(Unopened), "{cut} bytes");
        }
    }

    #[test]
    fn keys_are_changed_by_putting_the_new_one_first() {
        let (old, hook) = (Vault::from_text(&key(1)).unwrap(), WebhookId::generate());
        let sealed = old.seal(hook, &SigningSecret::generate());
        let both = Vault::from_text(&format!("{}, {}", key(2), key(1))).unwrap();
        assert!(both.open(hook, &sealed).is_ok());
        let newer = both.seal(hook, &SigningSecret::generate());
        assert!(old.open(hook, &newer).is_err() && Vault::from_text(&key(2)).unwrap().open(hook, &newer).is_ok());
    }

    #[test]
    fn other_texts_are_no_keys() {
        assert!(Vault::from_text(key(1).trim_end_matches('=')).is_ok(), "a shell may have dropped the end");
        for text in ["", ",", "x", "AAAA", &format!("{},", key(1)), &BASE64.encode([1; 31])] {
            let error = Vault::from_text(text).unwrap_err().to_string();
            assert!(error.starts_with("DRYDOCK_WEBHOOK_KEY: ") && error.contains("openssl rand -base64 32"), "{error}");
        }
        assert!(!format!("{:?}", Vault::from_text(&key(7)).unwrap()).contains("BwcH"));
    }
}
