//! Whether a token is what its issuer signed, for us, now. Nothing in it chooses how it is checked: the issuer only picks among those of
//! the settings, `kid` only among that issuer's keys, `alg` only among what the key is for. `jku`, `x5u`, `jwk` and `x5c` are not looked at.

use std::sync::Arc;

use jsonwebtoken::{
    Header, Validation, dangerous, decode, decode_header,
    errors::{Error, ErrorKind},
    get_current_timestamp,
};
use serde::Deserialize;
use serde_json::Value;

use super::{key_set::KeySet, known::Known, settings::Issuer};
use crate::error::ApiError;

const MALFORMED: ApiError = ApiError::Stranger("Malformed token: send one JSON Web Token, as its issuer gave it");
const OTHER_ISSUER: ApiError = ApiError::Stranger("Token is of an issuer that is not known here");
const OTHER_ALGORITHM: ApiError = ApiError::Stranger("Token is signed in a way that is not taken from its issuer");
const OTHER_KIND: ApiError = ApiError::Unauthorized("Token is of another kind: send an access token or an ID token");
const EXPIRED: ApiError = ApiError::Unauthorized("Token has expired");
const LACKING: ApiError = ApiError::Unauthorized("Token lacks one of exp, iat, iss, aud and sub, or it is malformed");

/// A token as it was checked.
pub(super) struct Checked {
    pub(super) claims: Value,
    /// Until when it counts, in seconds since 1970.
    pub(super) until: u64,
    /// Whose key it was.
    pub(super) keys: Arc<KeySet>,
}

#[derive(Deserialize)]
struct Unverified {
    iss: String,
}

/// Checks `token`; answers which of `issuers` it is of.
///
/// # Errors
/// 401: something is wrong with it. 503: its issuer's keys are not known.
pub(super) async fn check(token: &str, issuers: &[Arc<Known>]) -> Result<(usize, Checked), ApiError> {
    let header = decode_header(token).map_err(|_| MALFORMED)?;
    if !header.typ.as_deref().is_none_or(is_of_our_kind) {
        return Err(OTHER_KIND);
    }
    // Only to know whom to ask; the signature covers it, and it is compared again below.
    let Unverified { iss } = dangerous::insecure_decode_claims(token).map_err(|_| MALFORMED)?;
    let place = issuers.iter().position(|known| known.settings.url == iss).ok_or(OTHER_ISSUER)?;
    let known = &issuers[place];
    if !known.settings.algorithms.contains(&header.alg) {
        return Err(OTHER_ALGORITHM);
    }
    let (keys, key) = known.key(header.kid.as_deref(), header.alg).await?;
    let decoded = decode::<Value>(token, &key, &validation(&header, &known.settings)).map_err(|error| told(&error))?;
    let claims = decoded.claims;
    let second = |name: &str| claims.get(name).and_then(Value::as_f64).filter(|at| at.is_finite() && *at >= 0.0);
    let (Some(issued), Some(ends)) = (second("iat"), second("exp")) else { return Err(LACKING) };
    let leeway = known.settings.leeway.as_secs();
    if issued > (get_current_timestamp() + leeway) as f64 {
        return Err(ApiError::Unauthorized("Token was issued in the future: compare the clocks"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "finite, not negative, and saturates")]
    let until = (ends as u64).saturating_add(leeway);
    // On or after its end (RFC 7519 §4.1.4); the library still takes it in that second.
    if until <= get_current_timestamp() {
        return Err(EXPIRED);
    }
    Ok((place, Checked { claims, until, keys }))
}

fn validation(header: &Header, issuer: &Issuer) -> Validation {
    let mut validation = Validation::new(header.alg);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.set_issuer(&[&issuer.url]);
    validation.set_audience(&issuer.audience);
    validation.leeway = issuer.leeway.as_secs();
    validation.validate_nbf = true;
    validation
}

/// An access token (RFC 9068 §2.1) or an ID token. Others are not for showing around: a logout token, a proof of possession.
fn is_of_our_kind(kind: &str) -> bool {
    let kind = kind.to_ascii_lowercase();
    ["jwt", "at+jwt"].contains(&kind.strip_prefix("application/").unwrap_or(&kind))
}

fn told(error: &Error) -> ApiError {
    match error.kind() {
        ErrorKind::ExpiredSignature => EXPIRED,
        ErrorKind::ImmatureSignature => ApiError::Unauthorized("Token does not count yet"),
        ErrorKind::InvalidAudience => {
            ApiError::Unauthorized("Token is for somebody else: its audience is not this API")
        }
        ErrorKind::InvalidIssuer => OTHER_ISSUER,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => LACKING,
        ErrorKind::InvalidSignature | ErrorKind::InvalidAlgorithm => {
            ApiError::Stranger("Token is not signed by the key it names")
        }
        _ => MALFORMED,
    }
}
