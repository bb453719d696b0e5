//! The system calls that nobody wraps, and the few library calls that need `unsafe`.
//!
//! The one place of this suite where `unsafe` stands, but for the descriptor that `suite` plants.

use std::{
    ffi::{CStr, CString},
    io,
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use rustix::process::Pid;

/// An argument of a system call.
pub(super) enum Argument<'a> {
    /// A number, or an address that is only one.
    Number(usize),
    /// A path or name.
    Text(&'a CStr),
    /// What the kernel reads.
    Bytes(&'a [u8]),
    /// What the kernel writes.
    Buffer(&'a mut [u8]),
}

macro_rules! numbers {
    ($($number:ty),*) => { $(
        impl From<$number> for Argument<'_> {
            // Registers are as wide as `usize`; numbers below 0 keep their sign.
            fn from(number: $number) -> Self {
                Self::Number(number as usize)
            }
        }
    )* };
}

numbers!(i32, u32, i64, u64, usize);

impl<'a> From<&'a CStr> for Argument<'a> {
    fn from(text: &'a CStr) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a CString> for Argument<'a> {
    fn from(text: &'a CString) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Argument<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Argument<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl<'a, const N: usize> From<&'a mut [u8; N]> for Argument<'a> {
    fn from(buffer: &'a mut [u8; N]) -> Self {
        Self::Buffer(buffer)
    }
}

impl Argument<'_> {
    fn register(&mut self) -> usize {
        match self {
            Self::Number(number) => *number,
            Self::Text(text) => text.as_ptr().addr(),
            Self::Bytes(bytes) => bytes.as_ptr().addr(),
            Self::Buffer(buffer) => buffer.as_mut_ptr().addr(),
        }
    }
}

/// One system call. Never one that changes this process's own memory: those have no place in an attack.
#[expect(unsafe_code, reason = "attacks are made of calls that no library offers")]
pub(super) fn system_call(number: libc::c_long, arguments: &mut [Argument<'_>]) -> io::Result<i64> {
    let mut registers = [0_usize; 6];
    registers.iter_mut().zip(arguments).for_each(|(register, argument)| *register = argument.register());
    let [a, b, c, d, e, f] = registers;
    // SAFETY: every pointer is to memory that `arguments` borrows for the time of the call; the sizes that the kernel
    // believes stand in the arguments beside them, where each attack says them once, of the same buffer.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// `call!(SYS_acct, path)`: one system call by its name in `libc`.
macro_rules! call {
    ($number:ident $(, $argument:expr)* $(,)?) => {
        $crate::attack::call::system_call(libc::$number, &mut [$($crate::attack::call::Argument::from($argument)),*])
    };
}
pub(super) use call;

/// Splits this process. The child, where the answer is `None`, ends by [`leave`].
#[expect(unsafe_code, reason = "nobody else forks without executing")]
pub(super) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the program that runs attacks has one thread, so the child's memory is whole.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        child => Ok(Pid::from_raw(child)),
    }
}

/// Ends this process at once, without what its parent's memory wants done at an end.
#[expect(unsafe_code, reason = "a forked child must not run the destructors of its parent")]
pub(super) fn leave(code: i32) -> ! {
    // SAFETY: it only ends the process.
    unsafe { libc::_exit(code) }
}

/// The i386 call `number` with one argument, by the gate that 32-bit programs use.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the gate can be reached by its instruction alone")]
pub(super) fn call_i386(number: u32, argument: u32) -> io::Result<()> {
    let mut result = number;
    // SAFETY: the kernel changes the result register and, on this way in, r8 to r11; rbx is put back.
    unsafe {
        std::arch::asm!(
            "xchg {argument:r}, rbx", "int 0x80", "xchg {argument:r}, rbx",
            argument = inout(reg) u64::from(argument) => _, inout("eax") result,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    match result.cast_signed() {
        error @ -4095..0 => Err(io::Error::from_raw_os_error(-error)),
        _ => Ok(()),
    }
}

/// `path` as the kernel wants it.
pub(super) fn text(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// A structure of 64-bit words, as the kernel wants it.
pub(super) fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// A structure of 32-bit words, as the kernel wants it.
pub(super) fn halves(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Whether `result` shows that the call came past the question who may make it: it worked, or failed by `error`, which
/// the kernel finds only behind that question. For calls that must not do their work where there is no jail.
pub(super) fn past_the_gate<T>(result: io::Result<T>, error: i32) -> io::Result<()> {
    match result {
        Err(found) if found.raw_os_error() != Some(error) => Err(found),
        _ => Ok(()),
    }
}
