//! `SECURITY.md` says what the runs say.

use std::path::PathBuf;

use drydock_domain::Isolation;
use drydock_jail::attack::table;

use crate::escape;

const BEGIN: &str = "<!-- attacks: begin -->\n";
const END: &str = "<!-- attacks: end -->";

/// Whether the table is to be written anew instead of compared: `DRYDOCK_WRITE_SECURITY_TABLE=1 cargo test -p drydock-jail document`.
#[expect(clippy::disallowed_methods, reason = "whoever changed an attack says here that the table follows")]
fn is_to_be_written() -> bool {
    std::env::var("DRYDOCK_WRITE_SECURITY_TABLE").is_ok_and(|value| value == "1")
}

#[test]
fn the_table_of_the_document_is_what_the_runs_say() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../SECURITY.md");
    let document = fs_err::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let reports = [Isolation::LandlockWeak, Isolation::Landlock, Isolation::Namespace].map(escape::run);
    let seen = table(&reports);
    if is_to_be_written() {
        fs_err::write(&path, format!("{before}{BEGIN}{seen}{END}{after}")).unwrap();
        return;
    }
    let differs = written.lines().zip(seen.lines()).find(|(written, seen)| written != seen);
    assert!(
        written == seen,
        "SECURITY.md is behind, first at {differs:?}; DRYDOCK_WRITE_SECURITY_TABLE=1 writes it anew"
    );
}
