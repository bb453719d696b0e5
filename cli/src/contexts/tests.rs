use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn entry(server: &str) -> (Entry, String) {
    let key = ApiKey::generate().text();
    let text = key.expose_secret().to_owned();
    (Entry { server: server.to_owned(), key: Some(key) }, text)
}

#[test]
fn contexts_are_kept_for_their_owner_alone() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("below/config.toml");
    let mut contexts = Contexts::load(Some(&path)).unwrap();
    assert_eq!((contexts.current(), contexts.iter().count()), (DEFAULT, 0));
    let ((one, key), (two, _)) = (entry("http://one"), entry("http://two"));
    contexts.put("one", one).unwrap();
    contexts.put("two", two).unwrap();
    assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut read = Contexts::load(Some(&path)).unwrap();
    assert_eq!(read.current(), "two");
    assert_eq!(read.get("one").unwrap().key.as_ref().unwrap().expose_secret(), key);
    read.switch("one").unwrap();
    assert!(read.forget_key("one").unwrap() && !read.forget_key("one").unwrap());
    assert_eq!(Contexts::load(Some(&path)).unwrap().get("one").unwrap().to_string(), "http://one, no key");
    read.remove("one").unwrap();
    assert_eq!((read.current(), read.iter().count()), (DEFAULT, 1));
    for error in [read.switch("one"), read.remove("one"), read.forget_key("one").map(drop)] {
        assert!(matches!(error, Err(ContextsError::Unknown(name)) if name == "one"));
    }
    assert_eq!(fs_err::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn a_file_that_others_can_read_is_refused_and_one_that_is_wrong_not_shown() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("config.toml");
    let secret = "dd_hunter2";
    fs_err::write(&path, format!("current = \"a\"\n[contexts.a]\nserver = 1 # {secret}\n")).unwrap();
    let mode = |mode| fs_err::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    for open in [0o644, 0o620, 0o606] {
        mode(open);
        assert!(matches!(Contexts::load(Some(&path)), Err(ContextsError::Open(_))), "{open:o}");
    }
    mode(0o600);
    let error = Contexts::load(Some(&path)).unwrap_err();
    assert!(matches!(&error, ContextsError::Invalid { line: 3, .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains(secret));
}

#[test]
fn debug_shows_no_key() {
    let (entry, key) = entry("http://one");
    let shown = format!("{entry:?} {entry}");
    assert!(!shown.contains(key.rsplit_once('_').unwrap().1) && shown.contains(&entry.prefix().unwrap()), "{shown}");
}
