//! Paths in a patch, written as git does (git-config(1), `core.quotePath=false`): as they are, or in double quotes with C's escapes where
//! a byte would end the line or the name. Names that are not UTF-8 are escaped byte by byte, so that the names in a patch are text.

use std::fmt::Write as _;

use drydock_domain::RelativePath;

/// `prefix` and the path, quoted where that is needed.
pub(super) fn quoted(prefix: &str, path: &RelativePath) -> String {
    let escapes = |byte: u8| byte < 0x20 || matches!(byte, 0x7f | b'"' | b'\\');
    match path.to_str() {
        Some(text) if !text.bytes().any(escapes) => format!("{prefix}{text}"),
        Some(text) => in_quotes(prefix, text.chars().map(Ok)),
        None => in_quotes(
            prefix,
            path.as_bytes().iter().map(|&byte| if byte < 0x80 { Ok(char::from(byte)) } else { Err(byte) }),
        ),
    }
}

/// Characters, or bytes that are none.
fn in_quotes(prefix: &str, parts: impl Iterator<Item = Result<char, u8>>) -> String {
    let mut out = format!("\"{prefix}");
    for part in parts {
        let short = match part {
            Ok('\x07') => 'a',
            Ok('\x08') => 'b',
            Ok('\t') => 't',
            Ok('\n') => 'n',
            Ok('\x0b') => 'v',
            Ok('\x0c') => 'f',
            Ok('\r') => 'r',
            Ok(same @ ('"' | '\\')) => same,
            Ok(plain) if !plain.is_ascii_control() => {
                out.push(plain);
                continue;
            }
            Ok(control) => {
                octal(&mut out, control as u32);
                continue;
            }
            Err(byte) => {
                octal(&mut out, byte.into());
                continue;
            }
        };
        out.extend(['\\', short]);
    }
    out.push('"');
    out
}

fn octal(out: &mut String, byte: u32) {
    // Writing to a String cannot fail.
    let _infallible = write!(out, "\\{byte:03o}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_where_git_quotes_them() {
        let cases: [(&[u8], &str); 6] = [
            (b"src/a b.rs", "a/src/a b.rs"),
            ("ü/日本".as_bytes(), "a/ü/日本"),
            (b"say \"hi\"\\", r#""a/say \"hi\"\\""#),
            (b"tab\tline\n\x01\x7f", r#""a/tab\tline\n\001\177""#),
            (b"caf\xe9\n", r#""a/caf\351\n""#),
            ("ü\n".as_bytes(), "\"a/ü\\n\""),
        ];
        for (name, expected) in cases {
            assert_eq!(quoted("a/", &RelativePath::new(name).unwrap()), expected);
        }
    }
}
