//! What one comparison of the three sides comes to, path by path.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
};

use super::{
    decide::{Sides, Step},
    ignored::is_own,
    index::Seen,
    scan::Scan,
};
use crate::archive::Known;

/// What is to be done.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Paths that both have alike.
    pub(crate) same: Vec<String>,
    /// Paths to put into the version, in order.
    pub(crate) puts: Vec<PathBuf>,
    /// Paths to remove from it; what is below goes with each.
    pub(crate) removals: Vec<String>,
    /// Paths to bring into the folder, or to remove from it.
    pub(crate) downs: Vec<String>,
    /// Paths that both sides changed.
    pub(crate) over: Vec<String>,
}

impl Plan {
    /// Compares what was found with what was and with what a version has.
    pub(crate) fn make(scan: &Scan, base: &BTreeMap<String, Seen>, head: &HashMap<String, Known>) -> Self {
        let paths: BTreeSet<&String> = scan.seen.keys().chain(base.keys()).chain(head.keys()).collect();
        let (mut plan, mut gone) = (Self::default(), BTreeSet::new());
        for path in paths {
            if is_own(path) || scan.is_unclear(path) {
                continue;
            }
            let local = scan.seen.get(path).map(|seen| &seen.known);
            let (was, there) = (base.get(path).map(|seen| &seen.known), head.get(path));
            let is_dir = [local, was, there].contains(&Some(&Known::Dir));
            let ignored = scan.ignored.covers(path, is_dir);
            let step = Sides { local, base: was, head: there, ignored }.decide();
            match step {
                Step::Same => plan.same.push(path.clone()),
                Step::Apart => {}
                Step::Down => plan.downs.push(path.clone()),
                Step::Up | Step::UpOver => {
                    if step == Step::UpOver {
                        plan.over.push(path.clone());
                    }
                    // A directory in a file's place or the other way round: what was there goes first.
                    let turns = |local: &Known, there: &Known| (*local == Known::Dir) != (*there == Known::Dir);
                    if there.is_some_and(|there| local.is_none_or(|local| turns(local, there))) {
                        gone.insert(path.as_str());
                    }
                    if local.is_some() {
                        plan.puts.push(path.into());
                    }
                }
            }
        }
        plan.removals = removals(&gone, scan, head);
        plan
    }

    /// Whether something is to be sent.
    pub(crate) fn sends(&self) -> bool {
        !self.puts.is_empty() || !self.removals.is_empty()
    }
}

/// The topmost of what is gone. A directory in which the version keeps something stays: hidden files, say, which do not come down to be
/// missed here.
fn removals(gone: &BTreeSet<&str>, scan: &Scan, head: &HashMap<String, Known>) -> Vec<String> {
    let kept: BTreeSet<&str> = head
        .keys()
        .filter(|path| !gone.contains(path.as_str()))
        .flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..at]))
        .collect();
    let goes = |path: &str| gone.contains(path) && (!kept.contains(path) || scan.seen.contains_key(path));
    let above = |path: &str| path.match_indices('/').any(|(at, _)| goes(&path[..at]));
    gone.iter().filter(|path| goes(path) && !above(path)).map(|path| (*path).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{super::scan::scan, *};

    fn file(text: &str) -> Known {
        let blake3 = blake3::hash(text.as_bytes()).to_hex().to_string();
        Known::File { size: text.len() as u64, mode: 0o644, blake3 }
    }

    /// A folder of these files against these of a version; what was alike before is `base`.
    fn plan(local: &[(&str, &str)], base: &[(&str, &str)], head: &[(&str, &str)]) -> Plan {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in local {
            let path = dir.path().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(&path, text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            fs_err::set_permissions(&path, mode).unwrap();
        }
        let tree = |files: &[(&str, &str)]| -> HashMap<String, Known> {
            let mut tree = HashMap::new();
            for (path, text) in files {
                tree.extend(path.match_indices('/').map(|(at, _)| (path[..at].to_owned(), Known::Dir)));
                tree.insert((*path).to_owned(), file(text));
            }
            tree
        };
        let (base, head) = (tree(base), tree(head));
        let base = base.into_iter().map(|(path, known)| (path, Seen { known, stat: None })).collect();
        let also: HashSet<String> = head.keys().cloned().collect();
        Plan::make(&scan(dir.path(), &HashMap::new(), &also).unwrap(), &base, &head)
    }

    #[test]
    fn what_is_gone_here_goes_there_and_nothing_hidden_with_it() {
        let was = [("a/x", "1"), ("a/y", "1"), ("b/x", "1"), ("b/.hidden", "1"), ("c", "1")];
        let all = plan(&[("c", "2")], &was, &was);
        assert_eq!(all.removals, ["a", "b/x"], "{all:?}");
        assert_eq!(all.puts, [PathBuf::from("c")]);
        assert!(all.downs.is_empty() && all.over.is_empty(), "{all:?}");
    }

    #[test]
    fn the_first_time_nothing_is_removed() {
        let all = plan(
            &[("mine", "1"), ("both", "1"), ("other", "here")],
            &[],
            &[("both", "1"), ("other", "there"), ("theirs", "1")],
        );
        assert_eq!((all.removals.len(), all.same, all.downs), (0, vec!["both".to_owned()], vec!["theirs".to_owned()]));
        assert_eq!(all.puts, [PathBuf::from("mine"), PathBuf::from("other")]);
        assert_eq!(all.over, ["other"]);
    }

    #[test]
    fn a_directory_may_take_a_files_place() {
        let all = plan(&[("x/in", "1"), ("y", "1")], &[("x", "1"), ("y/in", "1")], &[("x", "1"), ("y/in", "1")]);
        assert_eq!(all.removals, ["x", "y"]);
        assert_eq!(all.puts, [PathBuf::from("x"), PathBuf::from("x/in"), PathBuf::from("y")]);
    }
}
