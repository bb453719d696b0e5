use std::os::unix::fs::PermissionsExt as _;

use super::{Folder, Look};
use crate::daemon::testing::Project;

struct Place {
    top: tempfile::TempDir,
    project: Project,
}

impl Place {
    /// A folder and a project, and nothing in common yet.
    async fn new(local: &[(&str, &str)], head: &[(&str, &str)]) -> Self {
        let place = Self { top: tempfile::tempdir().unwrap(), project: Project::serve(head).await };
        fs_err::create_dir_all(place.root()).unwrap();
        local.iter().for_each(|(path, text)| place.write(path, text));
        place
    }

    fn root(&self) -> std::path::PathBuf {
        self.top.path().join("dir")
    }

    fn folder(&self) -> Folder {
        self.project.folder(&self.root(), &self.top.path().join("index"))
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, text).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn has(&self, path: &str) -> Option<String> {
        fs_err::read_to_string(self.root().join(path)).ok()
    }

    fn head(&self) -> Vec<(String, String)> {
        self.project.files()
    }
}

fn files(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

#[tokio::test]
async fn the_first_time_each_gets_what_it_lacks() {
    let local = [("a/mine", "m"), ("both", "b"), ("other", "here"), (".env", "secret"), ("node_modules/x", "x")];
    let place = Place::new(&local, &[("both", "b"), ("other", "there"), ("b/theirs", "t"), (".gitignore", "g")]).await;
    assert_eq!(place.folder().sync(Look::Newest).await.unwrap(), 2);
    let all = [(".gitignore", "g"), ("a/mine", "m"), ("b/theirs", "t"), ("both", "b"), ("other", "here")];
    assert_eq!(place.head(), files(&all));
    assert_eq!((place.has("b/theirs"), place.has(".gitignore")), (Some("t".to_owned()), Some("g".to_owned())));
    assert_eq!(place.folder().sync(Look::Newest).await.unwrap(), 2);
    assert_eq!(place.project.fleet().asked, 1, "and nothing is sent twice");
}

#[tokio::test]
async fn changes_of_either_side_come_to_the_other() {
    let place = Place::new(&[], &[("a", "1"), ("b", "1"), ("c", "1"), ("d/e", "1"), ("both", "1")]).await;
    let folder = place.folder();
    assert_eq!(folder.sync(Look::Newest).await.unwrap(), 1);
    place.write("a", "2");
    fs_err::remove_file(place.root().join("b")).unwrap();
    place.write("both", "here");
    place.project.by_others(&[
        ("c", Some("2")),
        ("d/e", None),
        ("d", None),
        ("new", Some("n")),
        ("both", Some("there")),
    ]);
    assert_eq!(folder.sync(Look::Newest).await.unwrap(), 3);
    assert_eq!(place.head(), files(&[("a", "2"), ("both", "here"), ("c", "2"), ("new", "n")]));
    assert_eq!((place.has("c"), place.has("new")), (Some("2".to_owned()), Some("n".to_owned())));
    assert!(!place.root().join("d").exists());
}

#[tokio::test]
async fn an_empty_project_gets_its_first_version() {
    let place = Place::new(&[("a", "1")], &[]).await;
    assert_eq!(place.folder().sync(Look::Newest).await.unwrap(), 1);
    assert_eq!(place.head(), files(&[("a", "1")]));
    let nothing = Place::new(&[], &[]).await;
    assert_eq!(nothing.folder().sync(Look::Newest).await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_changed_offline_goes_up_once() {
    let place = Place::new(&[("a", "1"), ("gone", "1")], &[]).await;
    let folder = place.folder();
    folder.sync(Look::Newest).await.unwrap();
    place.project.fleet().is_away = true;
    place.write("a", "2");
    for _ in 0..3 {
        assert!(folder.sync(Look::Known).await.is_err());
    }
    // The daemon ends, the folder changes, and another daemon starts.
    drop(folder);
    fs_err::remove_file(place.root().join("gone")).unwrap();
    place.write("new", "n");
    place.project.fleet().is_away = false;
    let folder = place.folder();
    assert_eq!(folder.sync(Look::Newest).await.unwrap(), 2);
    assert_eq!(place.head(), files(&[("a", "2"), ("new", "n")]));
    assert_eq!(folder.sync(Look::Newest).await.unwrap(), 2);
    assert_eq!(place.project.version(), 2);
}

#[tokio::test]
async fn a_version_that_came_first_is_followed() {
    let place = Place::new(&[], &[("a", "1")]).await;
    let folder = place.folder();
    folder.sync(Look::Newest).await.unwrap();
    place.write("b", "1");
    place.project.fleet().meanwhile = Some(("c".to_owned(), "1".to_owned()));
    assert_eq!(folder.sync(Look::Known).await.unwrap(), 3);
    assert_eq!(place.head(), files(&[("a", "1"), ("b", "1"), ("c", "1")]));
    assert_eq!(place.has("c").as_deref(), Some("1"));
}

#[tokio::test]
async fn an_empty_folder_in_its_place_removes_nothing() {
    let place = Place::new(&[], &[("a", "1")]).await;
    place.folder().sync(Look::Newest).await.unwrap();
    // As a disk that is not mounted leaves it.
    fs_err::rename(place.root(), place.top.path().join("away")).unwrap();
    fs_err::create_dir_all(place.root()).unwrap();
    assert_eq!(place.folder().sync(Look::Newest).await.unwrap(), 1);
    assert_eq!((place.has("a").as_deref(), place.project.version()), (Some("1"), 1));
}

#[tokio::test]
async fn a_folder_that_is_gone_removes_nothing() {
    let place = Place::new(&[], &[("a", "1")]).await;
    let folder = place.folder();
    folder.sync(Look::Newest).await.unwrap();
    fs_err::remove_dir_all(place.root()).unwrap();
    assert!(folder.sync(Look::Newest).await.is_err());
    assert_eq!(place.project.version(), 1);
}

impl Place {
    /// Changes a field of the index on disk, as if the folder had been another one.
    fn forge(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let path = self.top.path().join("index");
        let mut index = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
        change(&mut index);
        fs_err::write(&path, index.to_string()).unwrap();
    }
}

#[tokio::test]
async fn what_a_base_is_not_of_removes_nothing_on_either_side() {
    let older = |index: &mut serde_json::Value| {
        let born = &mut index["whose"]["root"]["born"]["secs_since_epoch"];
        *born = (born.as_u64().unwrap() - 1).into();
    };
    let others = |index: &mut serde_json::Value| index["whose"]["project"] = "another".into();
    let forgeries: [&dyn Fn(&mut serde_json::Value); 2] = [&older, &others];
    for forgery in forgeries {
        let place = Place::new(&[], &[("a", "1"), ("b", "1")]).await;
        place.folder().sync(Look::Newest).await.unwrap();
        place.forge(forgery);
        // An inode of a folder that was removed is given to the next one.
        fs_err::remove_file(place.root().join("a")).unwrap();
        assert_eq!(place.folder().sync(Look::Newest).await.unwrap(), 1);
        assert_eq!((place.has("a").as_deref(), place.project.version()), (Some("1"), 1));
    }
}

#[tokio::test]
async fn a_head_that_went_back_takes_nothing_from_the_folder() {
    let place = Place::new(&[], &[("a", "1")]).await;
    let folder = place.folder();
    place.project.by_others(&[("a", Some("2")), ("later", Some("l"))]);
    assert_eq!(folder.sync(Look::Newest).await.unwrap(), 2);
    place.project.fleet().goes_back(1);
    assert_eq!(folder.sync(Look::Newest).await.unwrap(), 2);
    assert_eq!((place.has("a").as_deref(), place.has("later").as_deref()), (Some("2"), Some("l")));
    assert_eq!(place.head(), files(&[("a", "2"), ("later", "l")]));
}

#[tokio::test]
async fn what_came_down_before_the_rest_failed_is_not_taken_for_a_change_here() {
    let place = Place::new(&[], &[("a", "1"), ("b", "1"), ("gone", "1")]).await;
    place.folder().sync(Look::Newest).await.unwrap();
    for restarts in [false, true] {
        let mut folder = place.folder();
        place.project.by_others(&[("a", Some("2")), ("b", Some("2")), ("gone", None)]);
        place.project.fleet().broken = Some("b");
        assert!(folder.sync(Look::Newest).await.is_err());
        // As if it had come before the other failed.
        place.write("a", "2");
        if restarts {
            folder = place.folder();
        }
        place.project.by_others(&[("a", Some("1")), ("b", Some("1")), ("gone", Some("1"))]);
        place.project.fleet().broken = None;
        let version = place.project.version();
        folder.sync(Look::Newest).await.unwrap();
        assert_eq!(place.project.version(), version, "nothing is put back");
        assert_eq!((place.has("a").as_deref(), place.has("gone").as_deref()), (Some("1"), Some("1")));
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_left_out_and_the_rest_goes() {
    let local = [("a", "1"), ("b", "1"), ("bad", "1"), ("c", "1")];
    let place = Place::new(&local, &[]).await;
    let folder = place.folder();
    place.project.fleet().refuses = Some(("bad", 413, "Too large"));
    folder.sync(Look::Newest).await.unwrap();
    assert_eq!(place.head(), files(&[("a", "1"), ("b", "1"), ("c", "1")]));
    let asked = place.project.fleet().asked;
    folder.sync(Look::Newest).await.unwrap();
    assert_eq!(place.project.fleet().asked, asked, "it is not sent again as it is");
    place.project.fleet().refuses = None;
    place.write("bad", "2");
    folder.sync(Look::Newest).await.unwrap();
    assert!(place.head().contains(&("bad".to_owned(), "2".to_owned())));
}

#[tokio::test]
async fn who_is_too_slow_is_not_refused() {
    let place = Place::new(&[("a", "1")], &[]).await;
    let folder = place.folder();
    place.project.fleet().refuses = Some(("a", 400, "The archive did not arrive within 600s"));
    let error = folder.sync(Look::Newest).await.unwrap_err();
    assert!(!error.is_final() && !folder.is_sending(), "{error}");
    place.project.fleet().refuses = None;
    folder.sync(Look::Newest).await.unwrap();
    assert_eq!(place.head(), files(&[("a", "1")]));
}

#[tokio::test]
async fn what_changes_here_while_it_comes_down_goes_up_at_once() {
    let place = Place::new(&[], &[("a", "1")]).await;
    let folder = place.folder();
    folder.sync(Look::Newest).await.unwrap();
    place.project.by_others(&[("a", Some("2"))]);
    let mine = place.root().join("a");
    place.project.fleet().on_read = Some(("a", Box::new(move || fs_err::write(mine, "mine").unwrap())));
    folder.sync(Look::Newest).await.unwrap();
    assert_eq!(place.head(), files(&[("a", "mine")]));
}

#[tokio::test]
async fn what_is_in_the_way_stops_nothing_else() {
    let place = Place::new(&[("a", "1")], &[("x/.env/y", "1"), ("b", "1")]).await;
    place.write("x/.env", "a file");
    place.folder().sync(Look::Newest).await.unwrap();
    assert_eq!((place.has("b").as_deref(), place.has("x/.env").as_deref()), (Some("1"), Some("a file")));
    assert!(place.head().contains(&("a".to_owned(), "1".to_owned())));
}

/// Red when a directory that made room for a file which did not come is taken for one that was removed here.
#[tokio::test]
async fn what_made_room_for_a_file_that_did_not_come_is_not_removed_there() {
    let place = Place::new(&[], &[("x/a", "1"), ("b", "1")]).await;
    let folder = place.folder();
    folder.sync(Look::Newest).await.unwrap();
    place.project.by_others(&[("x/a", None), ("x", Some("now a file"))]);
    place.project.fleet().broken = Some("x");
    assert!(folder.sync(Look::Newest).await.is_err());
    place.project.fleet().broken = None;
    folder.sync(Look::Newest).await.unwrap();
    assert_eq!(place.has("x").as_deref(), Some("now a file"));
    assert_eq!(place.head(), files(&[("b", "1"), ("x", "now a file")]));
}

/// Red when a path that no scan shows keeps everything else from going up.
#[tokio::test]
async fn what_no_scan_shows_waits_and_the_rest_goes_up() {
    let local = [(".drydockignore", "data/\n"), ("data/mine", "1"), ("a", "1")];
    let place = Place::new(&local, &[("data", "a file")]).await;
    place.folder().sync(Look::Newest).await.unwrap();
    assert_eq!(place.has("data/mine").as_deref(), Some("1"));
    assert_eq!(place.head(), files(&[(".drydockignore", "data/\n"), ("a", "1"), ("data", "a file")]));
}
