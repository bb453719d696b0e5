//! The oracle: a naive, recursive, complete reading of a directory by the standard library. What a version holds must
//! be what this sees.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::Path,
};

use drydock_domain::RelativePath;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    File { mode: u32, content: Vec<u8> },
    Dir { mode: u32 },
    Symlink { target: Vec<u8> },
}

pub(super) type Nodes = BTreeMap<RelativePath, Node>;

/// All of `top` that belongs in a version.
pub(super) fn read(top: &Path) -> Nodes {
    let mut nodes = Nodes::new();
    walk(top, top, &mut nodes);
    nodes.retain(|path, _| !path.is_protocol_file());
    let protocol: RelativePath = ".codex".parse().unwrap();
    let alone = !nodes.keys().any(|path| path.parent().as_ref() == Some(&protocol));
    if alone && matches!(nodes.get(&protocol), Some(Node::Dir { .. })) {
        nodes.remove(&protocol);
    }
    nodes
}

fn walk(top: &Path, directory: &Path, nodes: &mut Nodes) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let relative = RelativePath::new(path.strip_prefix(top).unwrap().as_os_str().as_bytes()).unwrap();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let mode = metadata.permissions().mode() & 0o777;
        let kind = metadata.file_type();
        if kind.is_symlink() {
            let target = fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec();
            nodes.insert(relative, Node::Symlink { target });
        } else if kind.is_dir() {
            nodes.insert(relative, Node::Dir { mode });
            walk(top, &path, nodes);
        } else if kind.is_file() {
            let content = fs_err::read(&path).unwrap();
            nodes.insert(relative, Node::File { mode, content });
        }
    }
}

/// Files and symlinks created, modified and deleted between two readings.
pub(super) fn changes(before: &Nodes, after: &Nodes) -> drydock_domain::Changes {
    let file = |node: &Node| !matches!(node, Node::Dir { .. });
    let mut changes = drydock_domain::Changes::default();
    for (path, node) in after.iter().filter(|(_, node)| file(node)) {
        match before.get(path).filter(|node| file(node)) {
            None => changes.created.push(path.clone()),
            Some(was) if was != node => changes.modified.push(path.clone()),
            Some(_) => {}
        }
    }
    let gone = |path: &RelativePath| !after.get(path).is_some_and(file);
    changes.deleted =
        before.iter().filter(|(path, node)| file(node) && gone(path)).map(|(path, _)| path.clone()).collect();
    changes
}
