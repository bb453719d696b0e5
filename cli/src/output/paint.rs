//! A patch on its way to people or programs: coloured for a terminal, byte for byte otherwise; comments are counted.

const RESET: &str = "\u{1b}[0m";

/// Takes a patch part by part.
#[derive(Debug)]
pub struct Painter {
    coloured: bool,
    /// Lines of contents, not of names.
    in_hunk: bool,
    comments: usize,
    rest: Vec<u8>,
}

impl Painter {
    /// A painter that paints, or only counts.
    pub const fn new(coloured: bool) -> Self {
        Self { coloured, in_hunk: false, comments: 0, rest: Vec::new() }
    }

    /// What to write of the lines that are whole by now.
    pub fn feed(&mut self, part: &[u8]) -> Vec<u8> {
        self.rest.extend_from_slice(part);
        let end = self.rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let whole: Vec<u8> = self.rest.drain(..end).collect();
        let mut out = Vec::with_capacity(whole.len());
        whole.split_inclusive(|&byte| byte == b'\n').for_each(|line| self.line(line, &mut out));
        out
    }

    /// What is left at the end.
    pub fn end(&mut self) -> Vec<u8> {
        let rest = std::mem::take(&mut self.rest);
        let mut out = Vec::new();
        if !rest.is_empty() {
            self.line(&rest, &mut out);
        }
        out
    }

    /// Files that stand in comments, instead of in the patch.
    pub const fn comments(&self) -> usize {
        self.comments
    }

    fn line(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let colour = match line {
            [b'#', ..] => {
                self.comments += 1;
                "\u{1b}[2m"
            }
            [b'@', b'@', ..] => {
                self.in_hunk = true;
                "\u{1b}[36m"
            }
            [b'd', b'i', b'f', b'f', b' ', ..] => {
                self.in_hunk = false;
                "\u{1b}[1m"
            }
            _ if !self.in_hunk => "\u{1b}[1m",
            [b'+', ..] => "\u{1b}[32m",
            [b'-', ..] => "\u{1b}[31m",
            _ => "",
        };
        if !self.coloured {
            return out.extend_from_slice(line);
        }
        // Contents are anyone's: what moves a cursor does not reach the terminal.
        let text = String::from_utf8_lossy(line);
        let shown =
            text.trim_end_matches('\n').chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c });
        out.extend_from_slice(colour.as_bytes());
        out.extend_from_slice(shown.collect::<String>().as_bytes());
        out.extend_from_slice(if colour.is_empty() { "" } else { RESET }.as_bytes());
        if line.ends_with(b"\n") {
            out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &[u8] =
        b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\x1b[2J\n--- b\n+++ c\n# created y: binary\n";

    fn painted(coloured: bool, size: usize) -> (String, usize) {
        let mut painter = Painter::new(coloured);
        let mut out: Vec<u8> = PATCH.chunks(size).flat_map(|part| painter.feed(part)).collect();
        out.extend(painter.end());
        (String::from_utf8(out).unwrap(), painter.comments())
    }

    #[test]
    fn programs_get_every_byte() {
        for size in [1, 7, 1000] {
            assert_eq!(painted(false, size), (String::from_utf8_lossy(PATCH).into_owned(), 1), "{size}");
        }
    }

    #[test]
    fn people_get_colours_and_no_controls() {
        let (text, comments) = painted(true, 5);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], "\u{1b}[1m--- a/x\u{1b}[0m", "a name");
        assert_eq!(lines[4], " a\u{fffd}[2J");
        assert_eq!(lines[5], "\u{1b}[31m--- b\u{1b}[0m", "a line");
        assert_eq!(lines[6], "\u{1b}[32m+++ c\u{1b}[0m");
        assert_eq!(comments, 1);
    }
}
