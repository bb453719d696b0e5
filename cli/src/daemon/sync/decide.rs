//! What is to become of a path: by what the folder has, what the newest version has, and what both had when they were last alike.

use crate::archive::Known;

/// What is to be done about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Both have the same.
    Same,
    /// The folder's goes up: it is put there, or removed there.
    Up,
    /// The folder's goes up although the version has changed as well.
    UpOver,
    /// The version's comes down: it is written, or removed here.
    Down,
    /// Each keeps its own: the folder's differs, and is not of the kind that goes up.
    Apart,
}

/// What a path was, is here, and is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sides<'a> {
    /// In the folder.
    pub(crate) local: Option<&'a Known>,
    /// When both were last alike.
    pub(crate) base: Option<&'a Known>,
    /// In the newest version.
    pub(crate) head: Option<&'a Known>,
    /// Whether it is of the kind that does not go up.
    pub(crate) ignored: bool,
}

impl Sides<'_> {
    /// The rule. Where both have changed, the folder's counts: somebody works there, and the version stays in the history. Without a
    /// base nothing is removed on either side.
    pub(crate) fn decide(self) -> Step {
        let Self { local, base, head, ignored } = self;
        if local == head {
            return Step::Same;
        }
        match (local != base, head != base) {
            (false, _) => Step::Down,
            (true, _) if ignored => Step::Apart,
            (true, false) => Step::Up,
            (true, true) => Step::UpOver,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(word: &str) -> Option<Known> {
        (word != "-").then(|| Known::Symlink(word.to_owned()))
    }

    #[test]
    fn three_sides_lead_to_one_step() {
        for (local, base, head, step, ignored) in [
            ("a", "a", "a", Step::Same, Step::Same),
            ("b", "a", "b", Step::Same, Step::Same),
            ("-", "a", "-", Step::Same, Step::Same),
            ("b", "a", "a", Step::Up, Step::Apart),
            ("-", "a", "a", Step::Up, Step::Apart),
            ("b", "-", "-", Step::Up, Step::Apart),
            ("a", "a", "b", Step::Down, Step::Down),
            ("a", "a", "-", Step::Down, Step::Down),
            // The first time: what is missing here comes down, what differs goes up.
            ("-", "-", "a", Step::Down, Step::Down),
            ("b", "-", "a", Step::UpOver, Step::Apart),
            ("b", "a", "c", Step::UpOver, Step::Apart),
            ("-", "a", "c", Step::UpOver, Step::Apart),
            ("b", "a", "-", Step::UpOver, Step::Apart),
        ] {
            let (local_is, base_was, head_is) = (of(local), of(base), of(head));
            let sides =
                |ignored| Sides { local: local_is.as_ref(), base: base_was.as_ref(), head: head_is.as_ref(), ignored };
            assert_eq!(sides(false).decide(), step, "{local} {base} {head}");
            assert_eq!(sides(true).decide(), ignored, "{local} {base} {head} ignored");
        }
    }
}
