//! Every object key is built here, so that a listing of the bucket can be read with this page alone.
//!
//! ```text
//! <prefix><tenant>/p/<hh>/<pack id>          pack, named by its content
//! <prefix><tenant>/m/<hh>/<manifest id>      manifest, named by its content
//! <prefix><tenant>/l/<hh>/<attempt>          sealed log of an attempt
//! <prefix><tenant>/lc/<attempt>/<seq>        segment of a log still being written
//! <prefix><tenant>/t/<hh>/<id>               what `drydock doctor` tries, for a moment
//! ```
//! `hh` are two hex digits that spread load over S3's partitions: the first of a digest, the last of an attempt id
//! (the first ones of a version 7 UUID are the time). The tenant comes first: it is the boundary of trust and of deduplication.

use std::fmt;

use drydock_domain::{AttemptId, Digest, ObjectKind, TenantId};

/// The full key of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// As S3 takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Builds the keys of one tenant.
#[derive(Clone, Copy, Debug)]
pub struct Keys<'a> {
    prefix: &'a str,
    tenant: TenantId,
}

impl<'a> Keys<'a> {
    pub(crate) const fn new(prefix: &'a str, tenant: TenantId) -> Self {
        Self { prefix, tenant }
    }

    /// A pack.
    pub fn pack(self, id: Digest) -> ObjectKey {
        self.object(ObjectKind::Pack, id)
    }

    /// A manifest.
    pub fn manifest(self, id: Digest) -> ObjectKey {
        self.object(ObjectKind::Manifest, id)
    }

    /// An object named by its content.
    pub fn object(self, kind: ObjectKind, id: Digest) -> ObjectKey {
        let id = id.to_string();
        ObjectKey(format!("{}{}/{id}", self.all(kind), &id[..2]))
    }

    /// An object that is written to see that it can be, and deleted again.
    pub fn trial(self, id: Digest) -> ObjectKey {
        let id = id.to_string();
        ObjectKey(format!("{}{}/t/{}/{id}", self.prefix, self.tenant, &id[..2]))
    }

    /// What the keys of all the tenant's objects of one kind begin with.
    pub(crate) fn all(self, kind: ObjectKind) -> String {
        let letter = match kind {
            ObjectKind::Pack => 'p',
            ObjectKind::Manifest => 'm',
        };
        format!("{}{}/{letter}/", self.prefix, self.tenant)
    }

    /// The sealed log of an attempt.
    pub fn log(self, attempt: AttemptId) -> ObjectKey {
        let attempt = attempt.to_string();
        let spread = &attempt[attempt.len() - 2..];
        ObjectKey(format!("{}{}/l/{spread}/{attempt}", self.prefix, self.tenant))
    }

    /// Segment `seq` of an attempt's log, while it is being written. Padded, so that a listing is in order.
    pub fn log_segment(self, attempt: AttemptId, seq: u64) -> ObjectKey {
        ObjectKey(format!("{}{}/lc/{attempt}/{seq:010}", self.prefix, self.tenant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_documented_form() {
        let keys = Keys::new("test/", TenantId::DEFAULT);
        let tenant = "test/00000000-0000-0000-0000-000000000001";
        let id = Digest::of(b"");
        assert_eq!(keys.pack(id).as_str(), format!("{tenant}/p/af/{id}"));
        assert_eq!(keys.manifest(id).as_str(), format!("{tenant}/m/af/{id}"));
        assert_eq!(keys.trial(id).as_str(), format!("{tenant}/t/af/{id}"));
        let attempt: AttemptId = "0198c0de-0000-7000-8000-0000000000e7".parse().unwrap();
        assert_eq!(keys.log(attempt).as_str(), format!("{tenant}/l/e7/{attempt}"));
        assert_eq!(keys.log_segment(attempt, 12).as_str(), format!("{tenant}/lc/{attempt}/0000000012"));
    }
}
