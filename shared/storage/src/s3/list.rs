//! Listing the bucket: for audits only, never to decide what lives.

use std::time::{Duration, SystemTime};

use drydock_domain::{Digest, ObjectKind, TenantId};

use super::{LIST, Storage};
use crate::StorageError;

/// An object as the bucket shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The hash in its key.
    pub id: Digest,
    /// Its length.
    pub bytes: u64,
    /// When it was stored, by the server's clock.
    pub modified: SystemTime,
}

/// A tenant's objects of one kind, page by page, in the order of their ids.
#[derive(Debug)]
pub struct Listing {
    storage: Storage,
    prefix: String,
    next: Next,
}

#[derive(Debug)]
enum Next {
    First,
    After(String),
    End,
}

impl Storage {
    /// Lists a tenant's objects of one kind.
    pub fn list(&self, tenant: TenantId, kind: ObjectKind) -> Listing {
        Listing { storage: self.clone(), prefix: self.keys(tenant).all(kind), next: Next::First }
    }
}

impl Listing {
    /// The next page, at most 1,000; `None` after the last. Keys of another form than ours are left out.
    pub async fn page(&mut self) -> Result<Option<Vec<Listed>>, StorageError> {
        let after = match &self.next {
            Next::First => None,
            Next::After(token) => Some(token.clone()),
            Next::End => return Ok(None),
        };
        let (storage, prefix) = (&self.storage, &self.prefix);
        let page = storage.retry(LIST, || storage.list_once(prefix, after.as_deref())).await?;
        let (listed, next) = page;
        self.next = next.map_or(Next::End, Next::After);
        Ok(Some(listed))
    }
}

impl Storage {
    async fn list_once(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<(Vec<Listed>, Option<String>), StorageError> {
        let request = self.inner.client.list_objects_v2().bucket(&self.inner.bucket).prefix(prefix);
        let request = request.set_continuation_token(after.map(str::to_owned)).send();
        self.timed(LIST, self.inner.timeout, async {
            let page = request.await.map_err(|error| self.fold(LIST, None, error))?;
            let next = page.next_continuation_token().filter(|_| page.is_truncated() == Some(true)).map(str::to_owned);
            Ok((page.contents().iter().filter_map(listed).collect(), next))
        })
        .await
    }
}

fn listed(object: &aws_sdk_s3::types::Object) -> Option<Listed> {
    let id = object.key()?.rsplit('/').next()?.parse().ok()?;
    let modified = object.last_modified()?;
    let since = Duration::new(u64::try_from(modified.secs()).ok()?, modified.subsec_nanos());
    let bytes = u64::try_from(object.size()?).ok()?;
    Some(Listed { id, bytes, modified: SystemTime::UNIX_EPOCH + since })
}
