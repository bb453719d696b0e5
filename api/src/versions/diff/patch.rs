//! One change as a section of a patch, in the form git writes and `git apply` reads (git-diff(1), "Generating patch text").

use std::io::Write as _;

use drydock_domain::{Entry, RelativePath};

use super::{
    change::{Change, git_mode},
    lines::{Counts, hunks},
    quote::quoted,
};

/// A section of a patch.
#[derive(Debug, Default)]
pub(super) struct Section {
    /// Lines of a patch. None where only permissions differ that git does not keep.
    pub(super) text: Vec<u8>,
    pub(super) counts: Counts,
}

/// The contents are not text: there are no lines to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Binary;

impl Section {
    /// The section of `change`; of contents only those are looked at that it needs.
    pub(super) fn of(change: &Change, old: &[u8], new: &[u8]) -> Result<Self, Binary> {
        if old.contains(&0) || new.contains(&0) {
            return Err(Binary);
        }
        let mut section = Self::default();
        match change {
            Change::Created(entry) => section.created(entry, new),
            Change::Deleted(entry) => section.deleted(entry, old),
            // For git a file and a link are two things: one goes, the other comes.
            Change::TypeChanged { old: was, new: is } => {
                section.deleted(was, old);
                section.created(is, new);
            }
            Change::Modified { old: was, new: is } | Change::ModeChanged { old: was, new: is } => {
                section.changed(was, is, None, old, new);
            }
            Change::Renamed { old: was, new: is, similarity } => {
                section.changed(was, is, Some(similarity.percent()), old, new);
            }
        }
        Ok(section)
    }

    fn created(&mut self, entry: &Entry, content: &[u8]) {
        self.title(&entry.path, &entry.path);
        self.line(format_args!("new file mode {:o}", git_mode(entry)));
        self.body(None, Some(&entry.path), b"", content);
    }

    fn deleted(&mut self, entry: &Entry, content: &[u8]) {
        self.title(&entry.path, &entry.path);
        self.line(format_args!("deleted file mode {:o}", git_mode(entry)));
        self.body(Some(&entry.path), None, content, b"");
    }

    fn changed(&mut self, was: &Entry, is: &Entry, renamed: Option<u8>, old: &[u8], new: &[u8]) {
        let (old_mode, new_mode) = (git_mode(was), git_mode(is));
        if renamed.is_none() && old_mode == new_mode && old == new {
            return;
        }
        self.title(&was.path, &is.path);
        if old_mode != new_mode {
            self.line(format_args!("old mode {old_mode:o}\nnew mode {new_mode:o}"));
        }
        if let Some(percent) = renamed {
            self.line(format_args!("similarity index {percent}%"));
            self.line(format_args!("rename from {}", quoted("", &was.path)));
            self.line(format_args!("rename to {}", quoted("", &is.path)));
        }
        self.body(Some(&was.path), Some(&is.path), old, new);
    }

    fn title(&mut self, old: &RelativePath, new: &RelativePath) {
        self.line(format_args!("diff --git {} {}", quoted("a/", old), quoted("b/", new)));
    }

    fn body(&mut self, was: Option<&RelativePath>, is: Option<&RelativePath>, old: &[u8], new: &[u8]) {
        if old == new {
            return;
        }
        self.line(format_args!("--- {}", side("a/", was)));
        self.line(format_args!("+++ {}", side("b/", is)));
        let counts = hunks(old, new, &mut self.text);
        self.counts.additions += counts.additions;
        self.counts.deletions += counts.deletions;
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a vector cannot fail.
        let _infallible = writeln!(self.text, "{text}");
    }
}

/// A tab ends a name with a space in it, as git writes it for tools that would stop at the space.
fn side(prefix: &str, path: Option<&RelativePath>) -> String {
    let Some(path) = path else {
        return "/dev/null".to_owned();
    };
    let name = quoted(prefix, path);
    if name.contains(' ') { name + "\t" } else { name }
}

#[cfg(test)]
mod tests {
    use drydock_domain::{Digest, EntryKind, LinkTarget, Mode};

    use super::{super::change::Similarity, *};

    fn file(path: &str, mode: u32, content: &str) -> Entry {
        let kind =
            EntryKind::File { size: content.len() as u64, mode: Mode::new(mode), blob: Digest::of(content.as_bytes()) };
        Entry { path: path.parse().unwrap(), kind }
    }

    fn text(change: &Change, old: &str, new: &str) -> String {
        String::from_utf8(Section::of(change, old.as_bytes(), new.as_bytes()).unwrap().text).unwrap()
    }

    #[test]
    fn sections_have_gits_form() {
        let (old, new) = (file("a b", 0o644, "1\n"), file("a b", 0o700, "2\n"));
        let modified = Change::Modified { old: old.clone(), new: new.clone() };
        let expected = "diff --git a/a b b/a b\nold mode 100644\nnew mode 100755\n--- a/a b\t\n+++ b/a b\t\n\
                        @@ -1 +1 @@\n-1\n+2\n";
        assert_eq!(text(&modified, "1\n", "2\n"), expected);
        let created = text(&Change::Created(file("n", 0o600, "")), "", "");
        assert_eq!(created, "diff --git a/n b/n\nnew file mode 100644\n");
        let deleted = text(&Change::Deleted(file("n", 0o755, "x\n")), "x\n", "");
        assert_eq!(
            deleted,
            "diff --git a/n b/n\ndeleted file mode 100755\n--- a/n\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
        );
        let renamed = Change::Renamed { old, new: file("c", 0o644, "1\n"), similarity: Similarity::SAME };
        let expected = "diff --git a/a b b/c\nsimilarity index 100%\nrename from a b\nrename to c\n";
        assert_eq!(text(&renamed, "", ""), expected);
    }

    #[test]
    fn a_change_of_type_is_two_sections() {
        let link = EntryKind::Symlink { target: LinkTarget::new("to").unwrap() };
        let link = Entry { path: "n".parse().unwrap(), kind: link };
        let changed = text(&Change::TypeChanged { old: file("n", 0o644, "x\n"), new: link }, "x\n", "to");
        let (gone, come) = changed.split_once("+++ /dev/null\n@@ -1 +0,0 @@\n-x\n").unwrap();
        assert!(gone.starts_with("diff --git a/n b/n\ndeleted file mode 100644\n"), "{gone}");
        assert!(come.starts_with("diff --git a/n b/n\nnew file mode 120000\n--- /dev/null\n"), "{come}");
    }

    #[test]
    fn permissions_that_git_does_not_keep_make_no_section() {
        let change = Change::ModeChanged { old: file("n", 0o644, "x"), new: file("n", 0o640, "x") };
        assert_eq!(text(&change, "", ""), "");
        let binary = Section::of(&Change::Created(file("n", 0o644, "a\0")), b"", b"a\0");
        assert_eq!(binary.unwrap_err(), Binary);
    }
}
