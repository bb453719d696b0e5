//! What is at the other end: whether somebody looks, and wants to see colours and bars.

use std::{ffi::OsString, io::IsTerminal as _};

/// The terminal as it was found at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminal {
    /// Standard output may be coloured.
    pub colours: bool,
    /// Lines on standard error may be written over.
    pub moves: bool,
}

impl Terminal {
    /// Looks at the streams, at `NO_COLOR` (no-color.org: any value but an empty one), at `CI` and at `TERM`.
    pub fn find(no_color: bool, quiet: bool) -> Self {
        let variable = |name| std::env::var_os(name).filter(|value: &OsString| !value.is_empty());
        let asked = Asked {
            no_color: no_color || variable("NO_COLOR").is_some(),
            quiet,
            ci: variable("CI").is_some_and(|value| value != "false" && value != "0"),
            dumb: variable("TERM").is_none_or(|term| term == "dumb"),
        };
        asked.of(std::io::stdout().is_terminal(), std::io::stderr().is_terminal())
    }
}

/// What the command line and the environment ask for.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "four settings that have nothing to do with each other")]
struct Asked {
    no_color: bool,
    quiet: bool,
    ci: bool,
    dumb: bool,
}

impl Asked {
    const fn of(self, out: bool, err: bool) -> Terminal {
        Terminal { colours: out && !self.no_color && !self.dumb, moves: err && !self.quiet && !self.ci && !self.dumb }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_colours_are_for_terminals_that_want_them() {
        let plain = Asked::default();
        assert_eq!(plain.of(true, true), Terminal { colours: true, moves: true });
        assert_eq!(plain.of(false, true), Terminal { colours: false, moves: true });
        assert_eq!(plain.of(true, false), Terminal { colours: true, moves: false });
        assert_eq!(Asked { no_color: true, ..plain }.of(true, true), Terminal { colours: false, moves: true });
        assert_eq!(Asked { dumb: true, ..plain }.of(true, true), Terminal::default());
        for still in [Asked { quiet: true, ..plain }, Asked { ci: true, ..plain }] {
            assert_eq!(still.of(true, true), Terminal { colours: true, moves: false });
        }
    }
}
