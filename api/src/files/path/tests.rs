use drydock_domain::{Digest, LinkTarget, Mode};

use super::{PathFault::*, *};

#[test]
fn paths_that_leave_are_invalid_and_others_are_read() {
    let cases: &[(&str, Result<&str, PathFault>)] = &[
        ("app.py", Ok("app.py")),
        ("src/main.rs", Ok("src/main.rs")),
        (".codex/result.json", Ok(".codex/result.json")),
        (".hidden", Ok(".hidden")),
        ("a//b", Ok("a/b")),
        ("./a/./b", Ok("a/b")),
        ("...", Ok("...")),
        ("a..b", Ok("a..b")),
        ("%20", Ok(" ")),
        ("a%2Fb", Ok("a/b")),
        ("a%25b", Ok("a%b")),
        ("100%", Ok("100%")),
        ("a%2520b", Ok("a%20b")),
        ("a\\b", Ok("a\\b")),
        ("%C3%BC", Ok("ü")),
        // Absolute.
        ("/etc/passwd", Err(Invalid)),
        ("%2Fetc%2Fpasswd", Err(Invalid)),
        ("%252Fetc", Err(Invalid)),
        ("/", Err(Invalid)),
        // Drives and UNC names.
        ("C:\\Windows", Err(Invalid)),
        ("c:/Windows", Err(Invalid)),
        ("C:", Err(Invalid)),
        ("C:relative", Err(Invalid)),
        ("C%3A%5CWindows", Err(Invalid)),
        ("C%253A%255CWindows", Err(Invalid)),
        ("\\\\server\\share", Err(Invalid)),
        ("%5C%5Cserver%5Cshare", Err(Invalid)),
        ("//server/share", Err(Invalid)),
        ("\\etc", Err(Invalid)),
        // Climbing, anywhere and however written.
        ("..", Err(Invalid)),
        ("../a", Err(Invalid)),
        ("a/..", Err(Invalid)),
        ("a/../b", Err(Invalid)),
        ("a/b/../../..", Err(Invalid)),
        ("a\\..\\b", Err(Invalid)),
        ("..\\a", Err(Invalid)),
        ("%2e%2e/a", Err(Invalid)),
        ("%2E%2E%2Fa", Err(Invalid)),
        ("a/%2e./b", Err(Invalid)),
        ("..%5Ca", Err(Invalid)),
        ("%252e%252e%252fa", Err(Invalid)),
        ("a/%252e%252e", Err(Invalid)),
        ("..%252Fa", Err(Invalid)),
        ("..%c0%af/../a", Err(Invalid)),
        // NUL.
        ("a%00", Err(Invalid)),
        ("a%2500", Err(Invalid)),
        ("%00", Err(Invalid)),
        // Safe, but no file can have such a name.
        (".", Err(Absent)),
        ("./", Err(Absent)),
        ("", Err(Absent)),
    ];
    for (raw, expected) in cases {
        let read = parse(raw).map(|path| path.to_string());
        assert_eq!(read, expected.map(str::to_owned), "{raw:?}");
    }
    let long = "x".repeat(256);
    assert_eq!(parse(&long), Err(Absent));
    assert_eq!(parse("%ff").unwrap().as_bytes(), b"\xff", "names are bytes");
}

fn tree() -> Tree {
    let entry = |path: &str, kind| Entry { path: path.parse().unwrap(), kind };
    let file = |path| entry(path, EntryKind::File { size: 1, mode: Mode::new(0o644), blob: Digest::of(b"x") });
    let dir = |path| entry(path, EntryKind::Dir { mode: Mode::new(0o755) });
    let link = |path, to: &str| entry(path, EntryKind::Symlink { target: LinkTarget::new(to).unwrap() });
    Tree::new(vec![
        file("top"),
        dir("d"),
        file("d/inner"),
        dir("d/deep"),
        file("d/deep/file"),
        link("to_top", "top"),
        link("to_dir", "d"),
        link("d/up", "../top"),
        link("d/deep/up2", "../../top"),
        link("chain", "to_dir/up"),
        link("dot", "./d/./inner"),
        link("root_dir", "d/.."),
        link("absolute", "/etc/passwd"),
        link("escape", "../outside"),
        link("d/escape", "../../outside"),
        link("escape_late", "to_dir/../../x"),
        link("escape_through", "d/escape"),
        link("dangling", "nowhere"),
        link("loop_a", "loop_b"),
        link("loop_b", "loop_a"),
        link("self", "self"),
        link("through_file", "top/x"),
        link("to_result", ".codex/result.json"),
    ])
    .unwrap()
}

#[test]
fn links_are_followed_inside_the_tree_only() {
    let tree = tree();
    let found: &[(&str, &str)] = &[
        ("top", "top"),
        ("d/inner", "d/inner"),
        ("d", "d"),
        ("to_top", "top"),
        ("to_dir", "d"),
        ("to_dir/inner", "d/inner"),
        ("to_dir/deep/file", "d/deep/file"),
        ("d/up", "top"),
        ("d/deep/up2", "top"),
        ("to_dir/up", "top"),
        ("chain", "top"),
        ("dot", "d/inner"),
        ("root_dir/top", "top"),
    ];
    for (path, expected) in found {
        let Ok(Target::Entry(entry)) = resolve(&tree, &path.parse().unwrap()) else { panic!("{path}: not found") };
        assert_eq!(entry.path.to_string(), *expected, "{path}");
    }
    let refused = [
        ("absolute", Invalid),
        ("escape", Invalid),
        ("d/escape", Invalid),
        ("to_dir/escape", Invalid),
        ("escape/x", Invalid),
        ("escape_late", Invalid),
        ("escape_through", Invalid),
        ("dangling", Absent),
        ("loop_a", Absent),
        ("self", Absent),
        ("through_file", Absent),
        ("top/x", Absent),
        ("nothing", Absent),
        (".codex", Absent),
        (".codex/other", Absent),
    ];
    for (path, fault) in refused {
        assert_eq!(resolve(&tree, &path.parse().unwrap()), Err(fault), "{path}");
    }
    assert_eq!(resolve(&tree, &"root_dir".parse().unwrap()), Ok(Target::Top));
    for path in [".codex/request.json", ".codex/result.json", "to_result", "root_dir/.codex/result.json"] {
        assert!(matches!(resolve(&tree, &path.parse().unwrap()), Ok(Target::Exchange(_))), "{path}");
    }
}

#[test]
fn listings_leave_out_directories_and_links_that_escape() {
    let tree = tree();
    let listed = |path: &str| is_listed(&tree, tree.get(&path.parse().unwrap()).unwrap());
    for shown in ["top", "d/inner", "to_dir", "chain", "dangling", "loop_a", "to_result"] {
        assert!(listed(shown), "{shown}");
    }
    for hidden in ["d", "absolute", "escape", "d/escape", "escape_late", "escape_through"] {
        assert!(!listed(hidden), "{hidden}");
    }
}
