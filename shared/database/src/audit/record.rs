//! A record as it is written: JSON, in this order of names, which readers may rely on.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use drydock_domain::{ApiKeyId, TenantId, UserId};
use serde::Serialize;
use uuid::Uuid;

use super::changes::Changes;

/// One entry of the log.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum AuditRecord {
    /// Somebody asks for something; with what came of it where both are written at once.
    Asked {
        /// Who, when and what.
        #[serde(flatten)]
        asked: Asked,
        /// What came of it, where that is known already.
        #[serde(flatten)]
        result: Option<AuditResult>,
    },
    /// What came of it.
    Answered {
        /// Its own id.
        id: Uuid,
        /// Whose log it belongs to.
        tenant_id: TenantId,
        /// When it was known.
        at: DateTime<Utc>,
        /// The record that asked.
        answers: Uuid,
        /// What came of that.
        #[serde(flatten)]
        result: AuditResult,
    },
}

/// Who asks for what.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// Its id, a `UUIDv7`.
    pub id: Uuid,
    /// Whose log it belongs to.
    pub tenant_id: TenantId,
    /// By the clock of who wrote it.
    pub at: DateTime<Utc>,
    /// What is asked for: `job.submit`, `key.revoke`, ….
    pub action: &'static str,
    /// Who asks.
    pub actor: Actor,
    /// What it is asked of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Uuid>,
    /// How it came.
    #[serde(flatten)]
    pub origin: Origin,
}

/// By what right somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// Nobody knows: no key existed yet.
    Anyone,
    /// Who holds the database's address: `drydock admin`.
    Operator,
    /// A key.
    Key {
        /// The key.
        key: ApiKeyId,
        /// Whose it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<UserId>,
    },
    /// A daemon.
    Daemon {
        /// Its token.
        token: ApiKeyId,
    },
    /// A token of an issuer.
    Token {
        /// Whom it stands for.
        user: UserId,
    },
}

/// How a request came.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Origin {
    /// The peer's address; a proxy's where one is between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// The request's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The path of its URL, at most 1,024 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditResult {
    /// In a word.
    pub outcome: Outcome,
    /// The answer's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Uuid>,
    /// What it changed, where that is kept. In the record's text like all else, and so in its hash; older records have none.
    #[serde(skip_serializing_if = "Changes::is_empty")]
    pub changes: Changes,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// As asked.
    Done,
    /// Refused, and nothing changed.
    Refused,
    /// Failed: it may have been done, in part or whole.
    Failed,
    /// Who asked went away before the answer: it may have been done, in part or whole.
    Abandoned,
}

impl AuditRecord {
    /// What came of `asked`.
    pub fn answer(asked: Uuid, tenant_id: TenantId, result: AuditResult) -> Self {
        Self::Answered { id: Uuid::now_v7(), tenant_id, at: Utc::now(), answers: asked, result }
    }

    /// The text that is kept, and hashed.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("names are strings and nothing in it fails to be written")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_told_in_one_way() {
        let id = Uuid::from_u128(1);
        let asked = Asked {
            id,
            tenant_id: Uuid::from_u128(2).into(),
            at: DateTime::UNIX_EPOCH,
            action: "key.revoke",
            actor: Actor::Key { key: Uuid::from_u128(3).into(), user: None },
            target: Some(Uuid::from_u128(4)),
            origin: Origin { ip: Some([127, 0, 0, 1].into()), request_id: Some("r".to_owned()), path: None },
        };
        let result =
            AuditResult { outcome: Outcome::Done, status: Some(204), created: None, changes: Changes::default() };
        let text = AuditRecord::Asked { asked, result: Some(result.clone()) }.text();
        let expected = r#"{"id":"00000000-0000-0000-0000-000000000001","tenant_id":"00000000-0000-0000-0000-000000000002","at":"1970-01-01T00:00:00Z","action":"key.revoke","actor":{"kind":"key","key":"00000000-0000-0000-0000-000000000003"},"target":"00000000-0000-0000-0000-000000000004","ip":"127.0.0.1","request_id":"r","outcome":"done","status":204}"#;
        assert_eq!(text, expected);
        let (before, after) = (serde_json::json!({"role": "member"}), serde_json::json!({"role": "owner"}));
        let changed = AuditResult { changes: Changes::between(&before, &after, &["role"]), ..result.clone() };
        let text = AuditRecord::answer(id, TenantId::DEFAULT, changed).text();
        assert!(
            text.ends_with(r#""outcome":"done","status":204,"changes":{"role":{"from":"member","to":"owner"}}}"#),
            "{text}"
        );
        let AuditRecord::Answered { answers, .. } = AuditRecord::answer(id, TenantId::DEFAULT, result) else {
            panic!("an answer")
        };
        assert_eq!(answers, id);
    }
}
