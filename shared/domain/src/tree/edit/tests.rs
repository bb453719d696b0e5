//! Edits against the naive model: a map, changed step by step, made a tree from scratch.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    changes::Changes,
    digest::Digest,
    tree::{LinkTarget, Mode},
};

#[derive(Clone, Debug)]
enum Step {
    Put(RelativePath, EntryKind),
    Remove(RelativePath),
}

type Model = BTreeMap<RelativePath, EntryKind>;

fn path(text: &str) -> RelativePath {
    text.parse().unwrap()
}

fn file(content: &[u8]) -> EntryKind {
    EntryKind::File { size: content.len() as u64, mode: Mode::new(0o644), blob: Digest::of(content) }
}

fn dir(mode: u32) -> EntryKind {
    EntryKind::Dir { mode: Mode::new(mode) }
}

fn kind() -> impl Strategy<Value = EntryKind> {
    prop_oneof![
        3 => Just(dir(0o755)),
        1 => Just(dir(0o700)),
        2 => Just(file(b"one")),
        2 => Just(file(b"other")),
        1 => Just(EntryKind::Symlink { target: LinkTarget::new("to").unwrap() }),
    ]
}

/// Few names, so that steps meet; some that sort around a slash, and those of the protocol.
fn any_path() -> impl Strategy<Value = RelativePath> {
    let name = || prop::sample::select(vec!["a", "a-", "b", "d"]);
    let usual = vec(name(), 1..4).prop_map(|names| path(&names.join("/")));
    let protocol = prop::sample::select(vec![".codex", ".codex/request.json", ".codex/kept", ".codex/kept/x"]);
    prop_oneof![6 => usual, 1 => protocol.prop_map(path)]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (any_path(), kind()).prop_map(|(path, kind)| Step::Put(path, kind)),
        1 => any_path().prop_map(Step::Remove),
    ]
}

fn apply(model: &mut Model, step: &Step) {
    match step {
        Step::Remove(path) => model.retain(|other, _| other != path && !other.is_below(path)),
        Step::Put(path, kind) => {
            if !is_dir(kind) {
                model.retain(|other, _| !other.is_below(path));
            }
            model.insert(path.clone(), kind.clone());
        }
    }
}

fn edit<'t>(base: &'t Tree, steps: &[Step]) -> Result<Edited<'t>, TreeError> {
    let mut edit = TreeEdit::new(base);
    for step in steps {
        match step.clone() {
            Step::Put(path, kind) => edit.put(path, kind),
            Step::Remove(path) => edit.remove(&path),
        }
    }
    edit.finish()
}

fn tree(model: &Model) -> Result<Tree, TreeError> {
    Tree::new(model.iter().map(|(path, kind)| Entry { path: path.clone(), kind: kind.clone() }).collect())
}

/// The steps that make a valid tree; those that would not are left out.
fn valid(steps: Vec<Step>) -> Model {
    let mut model = Model::new();
    for step in steps {
        let mut next = model.clone();
        apply(&mut next, &step);
        if tree(&next).is_ok() {
            model = next;
        }
    }
    model
}

fn agrees(base: &Tree, edited: &Edited<'_>, expected: &Tree) {
    assert_eq!(edited.id(), expected.id());
    assert_eq!(edited.to_tree(), *expected);
    assert_eq!(Changes::of(edited), Changes::between(base, expected));
    assert_eq!(edited.entry_count(), expected.entries().len() as u64);
    assert_eq!((edited.file_count(), edited.total_bytes()), (expected.file_count(), expected.total_bytes()));
    for (at, entry) in expected.entries().iter().enumerate() {
        let naive = expected.entries().iter().filter(|other| other.path.is_below(&entry.path));
        assert_eq!(expected.subtree(at).len(), naive.count() + 1);
    }
}

#[test]
fn a_removed_directory_lists_the_files_below() {
    let model = valid(["d", "d/a", "d/a/b", "d/e"].map(|name| Step::Put(path(name), dir(0o755))).into());
    let mut steps = model;
    steps.insert(path("d/a/b/x"), file(b"x"));
    steps.insert(path("d/f"), file(b"f"));
    let base = tree(&steps).unwrap();
    let edited = edit(&base, &[Step::Remove(path("d"))]).unwrap();
    let changes = Changes::of(&edited);
    assert_eq!(changes.deleted, [path("d/a/b/x"), path("d/f")]);
    assert_eq!((changes.len(), edited.entry_count()), (2, 0));
    assert_eq!(edited.removed(), [path("d")]);
}

#[test]
fn a_deep_tree_needs_no_deep_stack() {
    let mut steps = Vec::new();
    let mut deep = path("a");
    for _ in 0..700 {
        let next = deep.join("a").unwrap();
        steps.push(Step::Put(std::mem::replace(&mut deep, next), dir(0o755)));
    }
    let base = Tree::default();
    let edited = edit(&base, &steps).unwrap();
    assert_eq!(edited.to_tree().id(), edited.id());
    assert_eq!(edited.entry_count(), 700);
}

#[test]
fn what_comes_back_equal_is_no_change() {
    let names = ["d", "d/a", "d/a/f", "d/b"];
    let kinds = [dir(0o755), dir(0o755), file(b"1"), file(b"2")];
    let steps: Vec<_> = names.iter().zip(kinds).map(|(name, kind)| Step::Put(path(name), kind)).collect();
    let base = tree(&valid(steps.clone())).unwrap();
    let mut again = vec![Step::Remove(path("d"))];
    again.extend(steps);
    let edited = edit(&base, &again).unwrap();
    assert!(edited.removed().is_empty() && edited.put().is_empty() && edited.replaced().count() == 0);
    assert_eq!(edited.id(), base.id());
    again.push(Step::Remove(path("d/a")));
    assert_eq!(edit(&base, &again).unwrap().removed(), [path("d/a")]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn agrees_with_a_tree_made_from_scratch(before in vec(step(), 0..25), steps in vec(step(), 0..12)) {
        let base = tree(&valid(before)).unwrap();
        let entries = base.entries().iter();
        let mut model: Model = entries.map(|entry| (entry.path.clone(), entry.kind.clone())).collect();
        for step in &steps {
            apply(&mut model, step);
        }
        let edited = edit(&base, &steps);
        match tree(&model) {
            Err(error) => prop_assert_eq!(edited.unwrap_err(), error),
            Ok(expected) => {
                let edited = edited.unwrap();
                agrees(&base, &edited, &expected);
                // The shortest way there gives the same difference.
                let gone = base.entries().iter().filter(|entry| expected.get(&entry.path).is_none());
                let put = expected.entries().iter().filter(|entry| base.get(&entry.path) != Some(entry));
                let direct = gone.map(|entry| Step::Remove(entry.path.clone()));
                let direct = direct.chain(put.map(|entry| Step::Put(entry.path.clone(), entry.kind.clone())));
                prop_assert_eq!(edit(&base, &direct.collect::<Vec<_>>()).unwrap(), edited);
            }
        }
    }
}
