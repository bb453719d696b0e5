//! Two contents as a unified diff, in the form git writes and `git apply` reads.

use std::{fmt::Write as _, time::Duration};

use similar::{Algorithm, TextDiff};

/// Beyond this the comparison takes coarser steps: a correct diff still, only a longer one.
const PATIENCE: Duration = Duration::from_millis(500);
const CONTEXT: usize = 3;

/// One side of a comparison.
pub(super) struct Side {
    /// As git writes it: kind and permission bits.
    pub(super) mode: u32,
    pub(super) content: Vec<u8>,
}

/// The diff of one path, or why there is none.
pub(super) fn compare(path: &str, old: Option<Side>, new: Option<Side>) -> Result<String, &'static str> {
    let content = |side: Option<&Side>| side.map_or_else(Vec::new, |side| side.content.clone());
    let (before, after) = (text(content(old.as_ref()))?, text(content(new.as_ref()))?);
    let mut out = format!("diff --git a/{path} b/{path}\n");
    match (&old, &new) {
        (None, Some(new)) => line(&mut out, format_args!("new file mode {:o}", new.mode)),
        (Some(old), None) => line(&mut out, format_args!("deleted file mode {:o}", old.mode)),
        (Some(old), Some(new)) if old.mode != new.mode => {
            line(&mut out, format_args!("old mode {:o}", old.mode));
            line(&mut out, format_args!("new mode {:o}", new.mode));
        }
        _ => {}
    }
    if before != after {
        let name = |side: &Option<Side>, letter| match side {
            Some(_) => format!("{letter}/{path}"),
            None => "/dev/null".to_owned(),
        };
        let diff = TextDiff::configure().algorithm(Algorithm::Myers).timeout(PATIENCE).diff_lines(&before, &after);
        let unified =
            diff.unified_diff().context_radius(CONTEXT).header(&name(&old, 'a'), &name(&new, 'b')).to_string();
        out.push_str(&unified);
    }
    Ok(out)
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(out, "{text}");
}

fn text(content: Vec<u8>) -> Result<String, &'static str> {
    match String::from_utf8(content) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err("binary"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(mode: u32, content: &str) -> Option<Side> {
        Some(Side { mode, content: content.into() })
    }

    #[test]
    fn diffs_have_gits_form() {
        let changed = compare("a.txt", side(0o100_644, "one\ntwo\n"), side(0o100_755, "one\n2\n")).unwrap();
        let expected = "diff --git a/a.txt b/a.txt\nold mode 100644\nnew mode 100755\n--- a/a.txt\n+++ b/a.txt\n\
                        @@ -1,2 +1,2 @@\n one\n-two\n+2\n";
        assert_eq!(changed, expected);
        let made = compare("n", None, side(0o100_644, "x")).unwrap();
        assert!(
            made.starts_with("diff --git a/n b/n\nnew file mode 100644\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n")
        );
        assert!(made.contains("\\ No newline at end of file"), "{made}");
        let gone = compare("n", side(0o120_000, "to"), None).unwrap();
        assert!(gone.contains("deleted file mode 120000\n--- a/n\n+++ /dev/null\n"), "{gone}");
        let mode = compare("m", side(0o100_644, "x"), side(0o100_755, "x")).unwrap();
        assert_eq!(mode, "diff --git a/m b/m\nold mode 100644\nnew mode 100755\n");
    }

    #[test]
    fn bytes_that_are_no_text_are_binary() {
        assert_eq!(compare("b", side(0o100_644, "a\0"), None), Err("binary"));
        let bytes = Some(Side { mode: 0o100_644, content: vec![0xff] });
        assert_eq!(compare("b", None, bytes), Err("binary"));
    }
}
