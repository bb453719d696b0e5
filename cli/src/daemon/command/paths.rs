//! Whether a path leads out of the folder: by its words, and by the links on its way.

use std::path::{Component, Path, PathBuf};

/// Where a command may reach.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    /// The folder, without links; what relative paths start from.
    root: PathBuf,
    /// The command's private directory, without links.
    private: PathBuf,
}

impl Inside {
    /// The folder and the private directory, both resolved.
    pub(crate) fn new(root: PathBuf, private: PathBuf) -> Self {
        Self { root, private }
    }

    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether a path lies inside, lexically and after the links on its way; of one that is not there, as far as it is.
    pub(crate) fn holds(&self, path: &str) -> bool {
        let Some(lexical) = normal(&self.root.join(path)) else { return false };
        self.has(&lexical) && self.has(&resolved(&lexical)) && self.has(&resolved(&self.root.join(path)))
    }

    /// By whole names: `/x/dir2` is not in `/x/dir`.
    fn has(&self, path: &Path) -> bool {
        path.starts_with(&self.root) || path.starts_with(&self.private)
    }

    /// Whether the text names a path: one from the top, one that goes up, or something that is there.
    fn is_path(&self, text: &str) -> bool {
        let goes_up = text.split('/').any(|part| part == "..");
        text.starts_with('/') || goes_up || !text.is_empty() && fs_err::symlink_metadata(self.root.join(text)).is_ok()
    }

    /// The path in an argument that leads outside, if there is one.
    pub(crate) fn breach(&self, argument: &str) -> Option<String> {
        parts(argument).into_iter().find(|part| self.is_path(part) && !self.holds(part)).map(str::to_owned)
    }
}

/// Without `.` and `..`; `None` where it would go above the top.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => normal.pop().then_some(())?,
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    Some(normal)
}

/// With the links of what is there resolved. A link that leads nowhere counts by where it would lead.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(found) = fs_err::canonicalize(path) {
        return found;
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return path.to_owned() };
    let parent = resolved(parent);
    match fs_err::read_link(parent.join(name)) {
        Ok(target) => normal(&parent.join(target)).unwrap_or_default(),
        Err(_) => parent.join(name),
    }
}

/// What of an argument may be a path: the whole, what follows the letters of short options, and what follows `=`, `:`, `,` or `@`, but for
/// the rest of an address like `https://…`.
fn parts(argument: &str) -> Vec<&str> {
    let mut parts = vec![argument];
    let bytes = argument.as_bytes();
    if argument.starts_with('-') && !argument.starts_with("--") {
        // The value may follow the last letter of several.
        parts.extend(argument.char_indices().skip(2).map(|(at, _)| &argument[at..]));
    }
    for (at, _) in argument.match_indices(['=', ':', ',', '@']) {
        let (before, rest) = (&argument[..at], &argument[at + 1..]);
        let is_address = bytes[at] == b':' && rest.starts_with("//") && !before.ends_with("file");
        if is_address {
            // What follows is a host and its own paths.
            break;
        }
        parts.push(rest);
        parts.extend(rest.split(['=', ':', ',', '@']).next());
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder with links that lead out, beside one whose name begins like its own.
    fn inside() -> (tempfile::TempDir, Inside, impl Fn(&str) -> String) {
        let dir = tempfile::tempdir().unwrap();
        let top = fs_err::canonicalize(dir.path()).unwrap();
        let (root, private) = (top.join("dir"), top.join("private"));
        for made in ["dir/sub", "dir2", "private"] {
            fs_err::create_dir_all(top.join(made)).unwrap();
        }
        fs_err::write(top.join("dir2/secret"), "s").unwrap();
        fs_err::write(root.join("file"), "f").unwrap();
        symlink(top.join("dir2"), root.join("out")).unwrap();
        symlink("../dir2/none", root.join("dangling")).unwrap();
        symlink("sub", root.join("in")).unwrap();
        (dir, Inside::new(root, private), move |path| format!("{}/{path}", top.display()))
    }

    #[test]
    fn what_lies_inside_is_let_through() {
        let (_dir, inside, path) = inside();
        let given = "file sub in new/file a/../file --flag -la hello x=1 a:b --out=new https://example.org/../x ...args \
                     1/2 --registry=https://r/x origin/main";
        for good in given.split_ascii_whitespace() {
            assert_eq!(inside.breach(good), None, "{good}");
        }
        let file = path("dir/file");
        for good in [&format!("--file={file}"), &file, &path("dir"), &path("private/x")] {
            assert_eq!(inside.breach(good), None, "{good}");
        }
    }

    #[test]
    fn what_leads_outside_is_not() {
        let (_dir, inside, path) = inside();
        let given = "/etc/passwd .. ../dir2/secret sub/../../dir2 out out/secret dangling in/../../dir2 out/../file \
                     --file=/etc/passwd if=/etc/passwd -f/etc/passwd -rf/etc/passwd -I../dir2 HEAD:../dir2/secret @/etc/passwd //etc \
                     file:///etc/passwd --a=b,/etc/passwd --mount=src:/etc --x=out/secret";
        for bad in given.split_ascii_whitespace() {
            assert!(inside.breach(bad).is_some(), "{bad}");
        }
        for bad in ["dir2", "dir2/secret", "dir/../dir2", "private2"] {
            assert!(inside.breach(&path(bad)).is_some(), "{bad}");
        }
    }
}
