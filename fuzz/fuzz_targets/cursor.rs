//! Cursors of pages: what is read is written and read back alike.
#![no_main]

use drydock_database::page::Cursor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(cursor) = text.parse::<Cursor>() {
        assert_eq!(cursor.to_string().parse(), Ok(cursor), "{cursor}");
    }
});
