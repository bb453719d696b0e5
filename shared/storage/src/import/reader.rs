//! Walks the entries of a tar archive and gives them to a [`Sink`].

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, Read},
};

use drydock_domain::{LinkTarget, Mode, RelativePath};
use tar::{Archive, Entry, EntryType};

use super::{
    held::Held,
    metered::{Budget, Metered},
    sink::Sink,
};
use crate::{Limits, Once, StorageError};

/// The pax record (POSIX.1-2017 pax, "Extended Header", `VENDOR.keyword`) of an entry that stands for a path to be removed.
pub(super) const REMOVE: &[u8] = b"DRYDOCK.remove";
/// Bytes read after the end of the archive, to reach the checksum at the end of its compression.
const TAIL: u64 = 1 << 20;

pub(super) fn read(reader: impl Read, writer: &mut impl Sink, limits: Limits) -> Result<(), StorageError> {
    let budget = Budget::new();
    let mut archive = Archive::new(Metered::new(reader, budget.clone()));
    let held = Held::new(limits);
    let mut importer = Importer { writer, limits, held, files: HashMap::new(), dirs: BTreeMap::new() };
    for entry in archive.entries().map_err(StorageError::Archive)? {
        let entry = entry.map_err(StorageError::Archive)?;
        let size = entry.size();
        importer.limits.check_bytes(size)?;
        budget.allow(size);
        importer.entry(entry)?;
    }
    importer.finish()?;
    budget.allow(TAIL);
    io::copy(&mut archive.into_inner().take(TAIL), &mut io::sink()).map_err(StorageError::Archive)?;
    Ok(())
}

struct Importer<'w, S> {
    writer: &'w mut S,
    limits: Limits,
    held: Held,
    /// Files and symlinks seen, with their number in the writer; `None` for one the writer left out.
    files: HashMap<RelativePath, Option<usize>>,
    /// Directories seen (with their mode) or implied by what they hold.
    dirs: BTreeMap<RelativePath, Option<Mode>>,
}

impl<S: Sink> Importer<'_, S> {
    fn entry<R: Read>(&mut self, mut entry: Entry<'_, R>) -> Result<(), StorageError> {
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            return Ok(());
        }
        let name = entry.path_bytes().into_owned();
        let refuse = |reason| refuse(&name, reason);
        let mode = Mode::new(entry.header().mode().map_err(|_| refuse("unreadable mode"))?);
        let said = extensions(&mut entry)?;
        if said.sparse {
            return Err(refuse("sparse files are not supported: create the archive without --sparse"));
        }
        // The old way to write a directory is a file whose name ends in a slash.
        let is_dir = kind.is_dir() || (kind.is_file() && name.ends_with(b"/") && entry.size() == 0);
        let Some(path) = path(&name, is_dir).map_err(&refuse)? else {
            return Ok(());
        };
        if !self.dirs.contains_key(&path) {
            self.held.one_more(&path)?;
        }
        if said.remove {
            let removed = !self.files.contains_key(&path) && !self.dirs.contains_key(&path) && self.writer.remove(path);
            return if removed {
                Ok(())
            } else {
                Err(refuse("a removal goes first, and with changes to a version only"))
            };
        }
        if is_dir {
            return self.dir(path, mode, &refuse);
        }
        self.parents(&path, &refuse)?;
        if self.files.contains_key(&path) || self.dirs.contains_key(&path) {
            return Err(refuse("it occurs twice"));
        }
        let number = self.writer.next();
        match kind {
            EntryType::Regular | EntryType::Continuous => self.file(entry, path.clone(), mode)?,
            EntryType::Symlink => {
                let target = entry.link_name_bytes().ok_or_else(|| refuse("symlink without a target"))?;
                let target = LinkTarget::new(target).map_err(|_| refuse("symlink with an impossible target"))?;
                self.writer.symlink(path.clone(), target)?;
            }
            EntryType::Link => {
                let target = entry.link_name_bytes().ok_or_else(|| refuse("hard link without a target"))?;
                let target = self::path(&target, false).ok().flatten();
                let of = target.and_then(|target| self.files.get(&target).copied().flatten());
                let of = of.ok_or_else(|| refuse("hard link to a file that does not come before it"))?;
                self.writer.copy(path.clone(), of)?;
            }
            EntryType::Char | EntryType::Block => return Err(refuse("devices are not accepted")),
            EntryType::Fifo => return Err(refuse("named pipes are not accepted")),
            _ => return Err(refuse("unknown kind of entry")),
        }
        let added = self.writer.next() > number;
        self.files.insert(path, added.then_some(number));
        Ok(())
    }

    fn file<R: Read>(&mut self, entry: Entry<'_, R>, path: RelativePath, mode: Mode) -> Result<(), StorageError> {
        // That it is as long as declared is checked when the next entry is looked for.
        self.writer.file(path, mode, &mut Once(entry)).map_err(|error| match error {
            StorageError::Read { source, .. } => StorageError::Archive(source),
            error => error,
        })
    }

    /// Notes a directory, to be added at the end: it may have been implied before.
    fn dir(
        &mut self,
        path: RelativePath,
        mode: Mode,
        refuse: &impl Fn(&'static str) -> StorageError,
    ) -> Result<(), StorageError> {
        self.parents(&path, refuse)?;
        if self.files.contains_key(&path) || self.dirs.get(&path).is_some_and(Option::is_some) {
            return Err(refuse("it occurs twice"));
        }
        self.dirs.insert(path, Some(mode));
        Ok(())
    }

    /// Notes the directories `path` lies in.
    fn parents(
        &mut self,
        path: &RelativePath,
        refuse: &impl Fn(&'static str) -> StorageError,
    ) -> Result<(), StorageError> {
        let mut parent = path.parent();
        while let Some(dir) = parent {
            if self.files.contains_key(&dir) {
                return Err(refuse("it lies below something that is no directory"));
            }
            if self.dirs.contains_key(&dir) {
                break;
            }
            self.held.one_more(&dir)?;
            parent = dir.parent();
            self.dirs.insert(dir, None);
        }
        Ok(())
    }

    fn finish(self) -> Result<(), StorageError> {
        self.dirs.into_iter().try_for_each(|(path, mode)| self.writer.dir(path, mode))
    }
}

/// The path in a name: one `./` in front and, for a directory, one `/` behind are dropped. `None` for the top directory.
fn path(name: &[u8], is_dir: bool) -> Result<Option<RelativePath>, &'static str> {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let name = if is_dir { name.strip_suffix(b"/").unwrap_or(name) } else { name };
    if is_dir && (name.is_empty() || name == b".") {
        return Ok(None);
    }
    match RelativePath::new(name) {
        Ok(path) => Ok(Some(path)),
        Err(error) => Err(match error {
            drydock_domain::PathError::Absolute => "its path is absolute",
            drydock_domain::PathError::DotComponent => "its path has a `.` or `..` component",
            drydock_domain::PathError::LongComponent | drydock_domain::PathError::TooLong => "its path is too long",
            _ => "its path is not acceptable",
        }),
    }
}

/// What the extended header of an entry says, as far as it matters.
#[derive(Default)]
struct Said {
    sparse: bool,
    remove: bool,
}

fn extensions<R: Read>(entry: &mut Entry<'_, R>) -> Result<Said, StorageError> {
    let mut said = Said { sparse: entry.header().entry_type().is_gnu_sparse(), remove: false };
    for extension in entry.pax_extensions().map_err(StorageError::Archive)?.into_iter().flatten() {
        let extension = extension.map_err(StorageError::Archive)?;
        said.sparse |= extension.key_bytes().starts_with(b"GNU.sparse");
        said.remove |= extension.key_bytes() == REMOVE && extension.value_bytes() == b"1";
    }
    Ok(said)
}

fn refuse(name: &[u8], reason: &'static str) -> StorageError {
    let shown = &name[..name.len().min(256)];
    StorageError::ArchiveEntry { entry: shown.escape_ascii().to_string(), reason }
}
