//! Any chain of changes gives what writing the final tree as a whole gives: id, changed files, every byte.

use std::{collections::BTreeMap, sync::Arc};

use drydock_domain::{Changes, LinkTarget, Mode, RelativePath, Tree};
use drydock_storage::{
    ChangeWriter, Delta, Limits, Manifest, ManifestCache, Once, Storage, StorageError, TreeWriter, Written, write_tree,
};
use proptest::{collection::vec, prelude::*, test_runner::TestRunner};

use crate::support::{Registry, TENANT, change, noise, options, path, read, storage};

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Dir(u32),
    Link(String),
    /// Noise of a seed and a length.
    File(u32, u64, usize),
}

#[derive(Clone, Debug)]
enum Step {
    Put(RelativePath, Node),
    Remove(RelativePath),
    /// A subtree, removed and put elsewhere.
    Rename(RelativePath, RelativePath),
}

type Model = BTreeMap<RelativePath, Node>;

fn any_path() -> impl Strategy<Value = RelativePath> {
    vec(prop::sample::select(vec!["a", "a-", "b", "c"]), 1..4).prop_map(|names| path(&names.join("/")))
}

fn node() -> impl Strategy<Value = Node> {
    // Few contents, so that some come again; sizes up to what no delta holds, and one of two chunks now and then.
    let size = prop_oneof![
        2 => Just(0_usize),
        20 => 1_usize..200,
        4 => 1_000_usize..20_000,
        1 => Just(70 << 10),
        1 => Just((256 << 10) + 1),
    ];
    let mode = || prop::sample::select(vec![0o644, 0o755]);
    prop_oneof![
        2 => mode().prop_map(Node::Dir),
        1 => "[xy]{1,3}".prop_map(Node::Link),
        5 => (mode(), 0_u64..6, size).prop_map(|(mode, seed, size)| Node::File(mode, seed, size)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any_path(), node()).prop_map(|(path, node)| Step::Put(path, node)),
        2 => any_path().prop_map(Step::Remove),
        1 => (any_path(), any_path()).prop_map(|(from, to)| Step::Rename(from, to)),
    ]
}

/// Only what leads from a tree to a tree: a put below a directory, a rename of what is there to where it may be.
fn is_possible(model: &Model, step: &Step) -> bool {
    let parent_is_dir =
        |path: &RelativePath| path.parent().is_none_or(|parent| matches!(model.get(&parent), Some(Node::Dir(_))));
    match step {
        Step::Put(path, _) => parent_is_dir(path),
        Step::Remove(_) => true,
        Step::Rename(from, to) => {
            model.contains_key(from) && from != to && !to.is_below(from) && !from.is_below(to) && parent_is_dir(to)
        }
    }
}

fn subtree(model: &Model, top: &RelativePath) -> Vec<(RelativePath, Node)> {
    let inside = |path: &&RelativePath| *path == top || path.is_below(top);
    model.keys().filter(inside).map(|path| (path.clone(), model[path].clone())).collect()
}

/// The puts and removals that a step is.
fn spelled_out(model: &Model, step: Step) -> Vec<Step> {
    match step {
        Step::Rename(from, to) => {
            let moved = subtree(model, &from).into_iter().map(|(path, node)| {
                let rest = &path.as_bytes()[from.as_bytes().len()..];
                Step::Put(RelativePath::new([to.as_bytes(), rest].concat()).unwrap(), node)
            });
            let mut steps = vec![Step::Remove(to.clone())];
            steps.extend(moved);
            steps.push(Step::Remove(from));
            steps
        }
        other => vec![other],
    }
}

fn apply(model: &mut Model, step: &Step) {
    match step {
        Step::Put(path, node) => {
            if !matches!(node, Node::Dir(_)) {
                model.retain(|other, _| !other.is_below(path));
            }
            model.insert(path.clone(), node.clone());
        }
        Step::Remove(path) => model.retain(|other, _| other != path && !other.is_below(path)),
        Step::Rename(..) => unreachable!("spelled out before"),
    }
}

fn write_step(writer: &mut ChangeWriter, step: Step) -> Result<(), StorageError> {
    match step {
        Step::Put(path, Node::Dir(mode)) => writer.put_dir(path, Mode::new(mode)),
        Step::Put(path, Node::Link(target)) => writer.put_symlink(path, LinkTarget::new(target).unwrap()),
        Step::Put(path, Node::File(mode, seed, size)) => {
            writer.put_file(path, Mode::new(mode), &mut Once(&noise(seed, size)[..]))
        }
        Step::Remove(path) => {
            writer.remove(path);
            Ok(())
        }
        Step::Rename(..) => unreachable!("spelled out before"),
    }
}

fn write_node(writer: &mut TreeWriter, path: RelativePath, node: Node) -> Result<(), StorageError> {
    match node {
        Node::Dir(mode) => writer.add_dir(path, Mode::new(mode)),
        Node::Link(target) => writer.add_symlink(path, LinkTarget::new(target).unwrap()),
        Node::File(mode, seed, size) => writer.add_file(path, Mode::new(mode), &mut Once(&noise(seed, size)[..])),
    }
}

async fn write_whole(storage: &Storage, model: &Model) -> Option<Written> {
    let model = model.clone();
    let build = |writer: &mut TreeWriter| model.into_iter().try_for_each(|(path, node)| write_node(writer, path, node));
    Box::pin(write_tree(storage, options(None), &Registry::default(), build)).await.unwrap()
}

async fn assert_holds(storage: &Storage, manifest: &Arc<Manifest>, model: &Model) {
    assert_eq!(manifest.tree().entries().len(), model.len());
    // Of big trees some files only, others after each push: a request each takes its time.
    for (path, node) in model.iter().skip(model.len() % 7).step_by(1 + model.len() / 100) {
        if let Node::File(_, seed, size) = node {
            let content = Box::pin(read(storage, manifest, path.to_str().unwrap())).await.unwrap();
            assert!(content == noise(*seed, *size), "{path}");
        }
    }
}

/// How often each form of a version came up.
#[derive(Debug, Default)]
struct Seen {
    same: usize,
    inline: usize,
    beside: usize,
    rebased: usize,
    bare: usize,
}

async fn chain(storage: &Storage, inline_max: usize, first: Vec<Step>, pushes: Vec<Vec<Step>>, seen: &mut Seen) {
    let mut model = Model::new();
    for step in first {
        if is_possible(&model, &step) {
            spelled_out(&model, step).iter().for_each(|step| apply(&mut model, step));
        }
    }
    let Some(start) = write_whole(storage, &model).await else {
        return;
    };
    let cache = ManifestCache::new(64 << 20, Limits::default());
    let mut head = start.manifest;
    for push in pushes {
        let mut steps = Vec::new();
        for step in push {
            if is_possible(&model, &step) {
                let spelled = spelled_out(&model, step);
                spelled.iter().for_each(|step| apply(&mut model, step));
                steps.extend(spelled);
            }
        }
        let build = |writer: &mut ChangeWriter| steps.into_iter().try_for_each(|step| write_step(writer, step));
        let registry = Registry::default();
        let written = change(storage, &head, inline_max, &registry, build).await.unwrap();
        let whole = write_whole(storage, &model).await;
        let empty = Tree::default();
        let tree = whole.as_ref().map_or(&empty, |whole| whole.manifest.tree());
        let Some(written) = written else {
            assert_eq!(head.tree(), tree);
            assert!(registry.announced.lock().unwrap().is_empty(), "nothing is stored for nothing");
            seen.same += 1;
            continue;
        };
        assert_eq!(written.tree_id, tree.id());
        assert_eq!(written.changes, Changes::between(head.tree(), tree));
        assert_eq!((written.file_count, written.total_bytes), (tree.file_count(), tree.total_bytes()));
        let new: Vec<_> = written.packs.iter().filter(|pack| pack.new).copied().collect();
        let announced = registry.announced.lock().unwrap().clone();
        assert!(new.iter().all(|pack| announced.contains(pack)), "what is new was announced");
        let read = Box::pin(cache.get(storage, TENANT, written.stored.clone())).await.unwrap();
        assert_eq!(read, written.manifest().unwrap());
        assert_eq!(read.tree(), tree);
        for pack in read.packs().iter().filter(|pack| !pack.inline) {
            assert!(written.packs.iter().any(|listed| listed.id == pack.id), "every pack is listed");
        }
        assert_holds(storage, &read, &model).await;
        match &written.stored.delta {
            Some(delta) => {
                assert!(delta.len() <= Delta::INLINE_MAX);
                let inline = read.packs().iter().any(|pack| pack.inline);
                assert!(!inline || delta.len() <= inline_max);
                if inline { seen.inline += 1 } else { seen.beside += 1 }
            }
            None if written.stored.manifest == head.id() => seen.bare += 1,
            None => seen.rebased += 1,
        }
        head = read;
    }
}

fn run(inline_max: usize, cases: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let storage = storage();
    let mut runner = TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() });
    let seen = std::sync::Mutex::new(Seen::default());
    let chains = (vec(step(), 5..30), vec(vec(step(), 1..6), 1..12));
    let result = runner.run(&chains, |(first, pushes)| {
        let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        runtime.block_on(chain(&storage, inline_max, first, pushes, &mut seen));
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let seen = seen.into_inner().unwrap();
    assert!(seen.same > 0 && seen.beside > 0, "{seen:?}");
    assert_eq!(seen.inline > 0, inline_max > 0, "{seen:?}");
}

#[test]
fn chains_without_inline() {
    run(0, 40);
}

#[test]
fn chains_with_a_small_inline() {
    run(2000, 40);
}

#[test]
fn chains_with_the_longest_inline() {
    run(Delta::INLINE_MAX, 40);
}

/// Pushes of hundreds of files: their deltas become too long again and again, and a new manifest is the base of the next.
#[tokio::test]
async fn chains_across_new_manifests() {
    let storage = storage();
    let mut seen = Seen::default();
    for inline_max in [0, 3000, Delta::INLINE_MAX] {
        let many = |push: u64| -> Vec<Step> {
            let name = |at: u64| path(&format!("f{:04}", (push * 311 + at * 7) % 2000));
            let file = |at: u64| Node::File(0o644, push * 1000 + at % 900, 1 + at as usize % 40);
            let mut steps: Vec<_> = (0..700).map(|at| Step::Put(name(at), file(at))).collect();
            steps.extend((0..50).map(|at| Step::Remove(name(at * 11))));
            steps
        };
        let pushes = (1..6).map(many).collect();
        Box::pin(chain(&storage, inline_max, many(0), pushes, &mut seen)).await;
    }
    assert!(seen.rebased >= 3 && seen.beside + seen.inline >= 3, "{seen:?}");
}

/// A thousand small pushes: read cold, they are what the model says.
#[tokio::test]
async fn a_chain_of_a_thousand_pushes() {
    let storage = storage();
    let mut model = Model::new();
    for at in 0..200_u64 {
        model.insert(path(&format!("f{at:03}")), Node::File(0o644, at, 50));
    }
    let mut head = write_whole(&storage, &model).await.unwrap().manifest;
    let mut requests = 0;
    for push in 0..1000_u64 {
        let at = path(&format!("f{:03}", push * 37 % 300));
        let step = match push % 10 {
            9 => Step::Remove(at),
            _ => Step::Put(at, Node::File(0o644, 1000 + push, 20 + push as usize % 300)),
        };
        apply(&mut model, &step);
        let registry = Registry::default();
        let build = |writer: &mut ChangeWriter| write_step(writer, step);
        if let Some(written) = change(&storage, &head, Delta::INLINE_MAX, &registry, build).await.unwrap() {
            head = written.manifest().unwrap();
            requests += registry.announced.lock().unwrap().len();
        }
    }
    let cold = ManifestCache::new(0, Limits::default());
    let read = Box::pin(cold.get(&storage, TENANT, head.stored())).await.unwrap();
    assert_eq!(read.tree_id(), write_whole(&storage, &model).await.unwrap().tree_id);
    assert_holds(&storage, &read, &model).await;
    assert!(requests < 50, "{requests} packs for 1,000 small pushes");
}
