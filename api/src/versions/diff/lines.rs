//! Two texts, line by line, as the hunks of a unified diff (GNU diffutils manual, "Detailed Description of Unified Format").
//!
//! Lines end in `\n` and nothing else: a lone `\r` is a character of its line, for git as for us.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use similar::{Algorithm, ChangeTag, DiffOp, capture_diff_slices_deadline, group_diff_ops, udiff::UnifiedHunkHeader};

/// Beyond this the comparison takes coarser steps: a correct diff still, only a longer one.
const PATIENCE: Duration = Duration::from_millis(500);
const CONTEXT: usize = 3;

/// Lines only one side has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) additions: usize,
    pub(super) deletions: usize,
}

/// Writes the hunks that turn `old` into `new`.
pub(super) fn hunks(old: &[u8], new: &[u8], out: &mut Vec<u8>) -> Counts {
    let (old, new): (Vec<&[u8]>, Vec<&[u8]>) = (lines(old).collect(), lines(new).collect());
    let ops = capture_diff_slices_deadline(Algorithm::Myers, &old, &new, Some(Instant::now() + PATIENCE));
    let counts = count(&ops);
    for group in group_diff_ops(ops, CONTEXT) {
        // Writing to a vector cannot fail.
        let _infallible = writeln!(out, "{}", UnifiedHunkHeader::new(&group));
        for change in group.iter().flat_map(|op| op.iter_changes(&old, &new)) {
            let line: &[u8] = change.value();
            out.push(match change.tag() {
                ChangeTag::Equal => b' ',
                ChangeTag::Delete => b'-',
                ChangeTag::Insert => b'+',
            });
            out.extend_from_slice(line);
            if !line.ends_with(b"\n") {
                out.extend_from_slice(b"\n\\ No newline at end of file\n");
            }
        }
    }
    counts
}

/// Lines with their ends.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|&byte| byte == b'\n')
}

fn count(ops: &[DiffOp]) -> Counts {
    let differ = |op: &&DiffOp| !matches!(op, DiffOp::Equal { .. });
    ops.iter().filter(differ).fold(Counts::default(), |counts, op| Counts {
        additions: counts.additions + op.new_range().len(),
        deletions: counts.deletions + op.old_range().len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(old: &str, new: &str) -> (String, Counts) {
        let mut out = Vec::new();
        let counts = hunks(old.as_bytes(), new.as_bytes(), &mut out);
        (String::from_utf8(out).unwrap(), counts)
    }

    #[test]
    fn hunks_have_gits_form() {
        let (text, counts) = diff("one\ntwo\n", "one\n2\n");
        assert_eq!(text, "@@ -1,2 +1,2 @@\n one\n-two\n+2\n");
        assert_eq!(counts, Counts { additions: 1, deletions: 1 });
        assert_eq!(diff("", "x\n").0, "@@ -0,0 +1 @@\n+x\n");
        assert_eq!(diff("x\n", "").0, "@@ -1 +0,0 @@\n-x\n");
        assert_eq!(diff("a\n", "a\n").0, "");
    }

    #[test]
    fn a_last_line_may_have_no_end() {
        let hint = "\\ No newline at end of file\n";
        assert_eq!(diff("a", "a\n").0, format!("@@ -1 +1 @@\n-a\n{hint}+a\n"));
        assert_eq!(diff("a\nz", "b\nz").0, format!("@@ -1,2 +1,2 @@\n-a\n+b\n z\n{hint}"));
    }

    #[test]
    fn a_carriage_return_ends_no_line() {
        assert_eq!(diff("a\rb\n", "a\rc\n").0, "@@ -1 +1 @@\n-a\rb\n+a\rc\n");
        assert_eq!(
            diff("a\r", "b\r").0,
            "@@ -1 +1 @@\n-a\r\n\\ No newline at end of file\n+b\r\n\\ No newline at end of file\n"
        );
        assert_eq!(diff("a\r\nb\r\n", "a\nb\r\n").0, "@@ -1,2 +1,2 @@\n-a\r\n+a\n b\r\n");
    }
}
