//! The audit: the bucket's listing beside the rows, both in the order of ids. Each difference is checked again before it is told,
//! because both change while they are read.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime},
};

use drydock_database::{
    Client,
    pack::{self, Known, Object, Tally},
};
use drydock_domain::{Digest, ObjectKind, TenantId};
use drydock_storage::{Listed, Listing, StorageErrorKind};

use crate::{CollectError, Collector, Deletion, delete::delete_all};

/// Rows read at once, and keys told by name.
const PAGE: i64 = 1000;
const TOLD: usize = 10;

/// What to look for, and what to do about it.
#[derive(Clone, Copy, Debug)]
pub struct AuditOptions {
    /// Objects younger than this are no orphans yet.
    pub orphan_age: Duration,
    /// Whether orphans are deleted.
    pub delete: bool,
}

/// One kind of difference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finding {
    /// How many, and their size.
    pub tally: Tally,
    /// The keys of the first ten.
    pub first: Vec<String>,
}

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Objects that have a row.
    pub sound: Tally,
    /// Objects without a row that are too young to be called orphans.
    pub young: Tally,
    /// Objects without a row that a version needs: written by an older program. They are left alone.
    pub unrecorded: Finding,
    /// Objects that nobody knows of.
    pub orphans: Finding,
    /// Rows that say live, without an object: versions that cannot be read.
    pub missing: Finding,
    /// What was done about orphans.
    pub deletion: Deletion,
}

impl Finding {
    fn add(&mut self, bytes: i64, key: &drydock_storage::ObjectKey) {
        self.tally.add(bytes);
        if self.first.len() < TOLD {
            self.first.push(key.to_string());
        }
    }
}

impl Collector {
    /// Compares the bucket with the rows. Changes nothing unless told to delete orphans.
    ///
    /// # Errors
    /// The database or object storage does not answer.
    pub async fn audit(&self, options: AuditOptions) -> Result<Audit, CollectError> {
        let client = self.database.client().await?;
        let mut audit = Audit::default();
        for tenant in pack::tenants(&client).await? {
            for kind in ObjectKind::ALL {
                Auditing { collector: self, client: &client, options, tenant, kind }.run(&mut audit).await?;
            }
        }
        Ok(audit)
    }
}

/// One tenant's objects of one kind.
struct Auditing<'c> {
    collector: &'c Collector,
    client: &'c Client,
    options: AuditOptions,
    tenant: TenantId,
    kind: ObjectKind,
}

impl Auditing<'_> {
    async fn run(&self, audit: &mut Audit) -> Result<(), CollectError> {
        let mut objects =
            Objects { listing: self.collector.storage.list(self.tenant, self.kind), page: VecDeque::new() };
        let mut rows = Rows { last: None, page: VecDeque::new() };
        loop {
            match (objects.peek().await?, rows.peek(self).await?) {
                (None, None) => return Ok(()),
                (Some(object), Some((id, _))) if object.id == id => {
                    audit.sound.add(size(object));
                    objects.page.pop_front();
                    rows.page.pop_front();
                }
                (Some(object), row) if row.is_none_or(|(id, _)| object.id < id) => {
                    self.without_live_row(object, audit).await?;
                    objects.page.pop_front();
                }
                (_, Some((id, bytes))) => {
                    self.without_object(id, bytes, audit).await?;
                    rows.page.pop_front();
                }
                (Some(_), None) => unreachable!("an object without a further row comes before it"),
            }
        }
    }

    async fn without_live_row(&self, object: Listed, audit: &mut Audit) -> Result<(), CollectError> {
        let key = self.collector.storage.keys(self.tenant).object(self.kind, object.id);
        let age = SystemTime::now().duration_since(object.modified).unwrap_or_default();
        match pack::known(self.client, self.object(object.id)).await? {
            Known { state: Some(_), .. } => audit.sound.add(size(object)),
            Known { named: true, .. } => audit.unrecorded.add(size(object), &key),
            _ if age < self.options.orphan_age => audit.young.add(size(object)),
            _ => {
                audit.orphans.add(size(object), &key);
                if self.options.delete {
                    self.delete(object, &mut audit.deletion).await?;
                }
            }
        }
        Ok(())
    }

    /// By way of a row, so that nobody uploads the same bytes meanwhile.
    async fn delete(&self, object: Listed, deletion: &mut Deletion) -> Result<(), CollectError> {
        let adopted = pack::adopt(self.client, self.object(object.id), object.bytes).await?;
        let (database, storage) = (&self.collector.database, &self.collector.storage);
        let done = delete_all(database, storage, adopted.into_iter().collect()).await?;
        deletion.add(done);
        Ok(())
    }

    async fn without_object(&self, id: Digest, bytes: i64, audit: &mut Audit) -> Result<(), CollectError> {
        let key = self.collector.storage.keys(self.tenant).object(self.kind, id);
        match self.collector.storage.length(&key).await {
            Ok(_) => audit.sound.add(bytes),
            Err(error) if error.kind() == StorageErrorKind::NotFound => {
                let known = pack::known(self.client, self.object(id)).await?;
                if known.state.as_deref() == Some("live") {
                    audit.missing.add(bytes, &key);
                }
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    const fn object(&self, id: Digest) -> Object {
        Object { tenant: self.tenant, kind: self.kind, id }
    }
}

/// The bucket's side.
struct Objects {
    listing: Listing,
    page: VecDeque<Listed>,
}

impl Objects {
    async fn peek(&mut self) -> Result<Option<Listed>, CollectError> {
        while self.page.is_empty() {
            match self.listing.page().await? {
                Some(page) => self.page = page.into(),
                None => return Ok(None),
            }
        }
        Ok(self.page.front().copied())
    }
}

/// The database's side.
struct Rows {
    last: Option<Digest>,
    page: VecDeque<(Digest, i64)>,
}

impl Rows {
    async fn peek(&mut self, of: &Auditing<'_>) -> Result<Option<(Digest, i64)>, CollectError> {
        if self.page.is_empty() {
            self.page = pack::live(of.client, of.tenant, of.kind, self.last, PAGE).await?.into();
            self.last = self.page.back().map_or(self.last, |(id, _)| Some(*id));
        }
        Ok(self.page.front().copied())
    }
}

fn size(object: Listed) -> i64 {
    i64::try_from(object.bytes).unwrap_or(i64::MAX)
}
