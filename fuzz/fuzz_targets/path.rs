//! Paths of a workspace and of URLs: what is accepted stays inside.
#![no_main]

use std::path::{Component, Path};

use drydock_domain::{
    RelativePath,
    path::{MAX_COMPONENT, MAX_PATH},
};
use libfuzzer_sys::fuzz_target;

fn stays_inside(path: &RelativePath) {
    let bytes = path.as_bytes();
    assert!((1..=MAX_PATH).contains(&bytes.len()) && !bytes.contains(&0));
    assert!(path.components().all(|name| !matches!(name, b"" | b"." | b"..") && name.len() <= MAX_COMPONENT));
    let text: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(bytes);
    assert!(Path::new(text).components().all(|part| matches!(part, Component::Normal(_))));
    if let Some(parent) = path.parent() {
        assert_eq!(parent.join(path.file_name()).as_ref(), Ok(path));
        assert!(path.is_below(&parent) && parent < *path);
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(path) = RelativePath::new(data) {
        assert_eq!(path.as_bytes(), data);
        stays_inside(&path);
    }
    // What a client wrote is nothing that leaves, whoever decodes it once more.
    if let Some(path) = std::str::from_utf8(data).ok().and_then(drydock_api::inputs::url_path) {
        stays_inside(&path);
        if let Some(again) = path.to_str().and_then(drydock_api::inputs::url_path) {
            stays_inside(&again);
        }
    }
});
