//! Files of a project's versions.

use drydock_domain::{PathError, RelativePath};

use crate::{Call, Client};

/// The address of one file in a project. Its path is checked: an address cannot hold `..`, it would name another file.
#[derive(Clone, Debug)]
pub struct FilePath<'p> {
    project: &'p str,
    path: RelativePath,
}

impl<'p> FilePath<'p> {
    /// The file at `path`, bytes with `/` between names.
    ///
    /// # Errors
    /// It is no path in a project.
    pub fn new(project: &'p str, path: impl AsRef<[u8]>) -> Result<Self, PathError> {
        Ok(Self { project, path: RelativePath::new(path.as_ref())? })
    }

    fn segments(&self) -> impl Iterator<Item = &[u8]> {
        let route = [b"projects", self.project.as_bytes(), b"files"];
        route.into_iter().chain(self.path.as_bytes().split(|&byte| byte == b'/'))
    }
}

impl Client {
    /// A GET of a file: its contents byte for byte, or with `Accept: application/json` as a document.
    pub fn read_file(&self, file: &FilePath<'_>) -> Call<'_> {
        self.get(file.segments())
    }

    /// A PUT of a file: with a body, or by [`Call::stream_bytes`]. Answers a [`FileChange`](crate::views::FileChange).
    pub fn put_file(&self, file: &FilePath<'_>) -> Call<'_> {
        self.put(file.segments())
    }

    /// A DELETE of a file. Answers a [`FileChange`](crate::views::FileChange).
    pub fn delete_file(&self, file: &FilePath<'_>) -> Call<'_> {
        self.delete(file.segments())
    }
}
