//! The jail's command line, its arguments divided by NUL: what is read is written and read back alike, and names no path by the way.
#![no_main]

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

use drydock_domain::Isolation;
use drydock_jail::Policy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let args = data.split(|&byte| byte == 0).map(|arg| OsString::from_vec(arg.to_vec()));
    if let Ok((policy, program)) = Policy::from_args(args) {
        assert!(policy.level > Isolation::None, "a policy without walls");
        assert!(
            [&policy.workspace].into_iter().chain(&policy.write).chain(&policy.read).all(|path| path.is_absolute())
        );
        let written = policy.to_args().into_iter().chain(program.iter().cloned());
        assert_eq!(Policy::from_args(written), Ok((policy, program)));
    }
});
