//! Queues and memory that programs share by number and name, and that outlive them.

use std::{fs::File, io, io::Write as _, path::Path, path::PathBuf};

use super::super::{
    Attack, Canaries, Group,
    call::{call, text},
    target::{Side, side_directory},
};

const NUMBERS: &str = "queues and shared memory of System V and POSIX are the machine's, which Landlock does not know: the worker uses \
                       none, and two projects never share a worker at this level";

pub(super) static GROUP: Group = Group {
    title: "Shared memory and queues",
    canaries: Canaries::Shared,
    attacks: &[
        Attack::new("attach-shared-memory", "attaches System V shared memory", |on| {
            let id = call!(SYS_shmget, key(&on.around()), 0, 0)?;
            call!(SYS_shmat, id, 0, libc::SHM_RDONLY).map(drop)
        })
        .controlled()
        .residual(NUMBERS),
        Attack::new("remove-shared-memory", "finds System V shared memory to remove it", |on| {
            let id = call!(SYS_shmget, key(&on.around()), 0, 0)?;
            call!(SYS_shmctl, id, libc::IPC_STAT, &mut [0; 256]).map(drop)
        })
        .controlled()
        .residual(NUMBERS),
        Attack::new("use-semaphores", "reads System V semaphores", |on| {
            let id = call!(SYS_semget, key(&on.around()), 0, 0)?;
            call!(SYS_semctl, id, 0, 12, 0).map(drop)
        })
        .controlled()
        .residual(NUMBERS),
        Attack::new("receive-message", "takes a message from a System V queue", |on| {
            let id = call!(SYS_msgget, key(&on.around()), 0)?;
            call!(SYS_msgrcv, id, &mut [0; 64], 8, 0, libc::IPC_NOWAIT).map(drop)
        })
        .controlled()
        .residual(NUMBERS),
        Attack::new("send-message", "sends a message to a System V queue", |on| {
            let id = call!(SYS_msgget, key(&on.around()), 0)?;
            let message = super::super::call::words(&[1, 2]);
            call!(SYS_msgsnd, id, &message, 8, libc::IPC_NOWAIT).map(drop)
        })
        .controlled()
        .residual(NUMBERS),
        Attack::new("list-shared-memory", "lists everybody's System V shared memory", |on| {
            let key = key(Path::new(&side_directory(Path::new(on.facts.text("base")?), Side::Outside))).to_string();
            let list = io::read_to_string(File::open("/proc/sysvipc/shm")?)?;
            super::privileges::found(list.split_whitespace().any(|word| word == key))
        })
        .residual(NUMBERS),
        Attack::new("open-message-queue", "opens a POSIX message queue", |on| {
            call!(SYS_mq_open, &text(Path::new(&queue(&on.around())))?, libc::O_RDWR | libc::O_NONBLOCK, 0, 0).map(drop)
        }),
        Attack::new("remove-message-queue", "removes a POSIX message queue", |on| {
            call!(SYS_mq_unlink, &text(Path::new(&queue(&on.around())))?).map(drop)
        })
        .residual(NUMBERS),
        Attack::new("open-shared-file", "opens POSIX shared memory, a file in `/dev/shm`", |on| {
            File::options().read(true).write(true).open(shared(&on.around())).map(drop)
        }),
    ],
};

/// What the outside made, one of each kind; gone when it is dropped.
pub(in crate::attack) struct Queues {
    memory: Option<i64>,
    semaphores: Option<i64>,
    messages: Option<i64>,
    around: PathBuf,
}

impl Queues {
    /// Those that the machine has.
    pub(in crate::attack) fn make(around: &Path) -> Self {
        const MAKE: i32 = libc::IPC_CREAT | libc::IPC_EXCL | 0o600;
        let key = key(around);
        let made = Self {
            memory: call!(SYS_shmget, key, 4096, MAKE).ok(),
            semaphores: call!(SYS_semget, key, 1, MAKE).ok(),
            messages: call!(SYS_msgget, key, MAKE).ok(),
            around: around.to_owned(),
        };
        if let Some(id) = made.messages {
            let _ = call!(SYS_msgsnd, id, &super::super::call::words(&[1, 2]), 8, libc::IPC_NOWAIT);
        }
        if let Ok(name) = text(Path::new(&queue(around))) {
            let _ = call!(SYS_mq_open, &name, libc::O_CREAT | libc::O_EXCL | libc::O_RDWR, 0o600, 0);
        }
        let _ = File::create_new(shared(around)).and_then(|mut file| file.write_all(b"secret"));
        made
    }
}

impl Drop for Queues {
    fn drop(&mut self) {
        let _ = self.memory.map(|id| call!(SYS_shmctl, id, libc::IPC_RMID, 0));
        let _ = self.semaphores.map(|id| call!(SYS_semctl, id, 0, libc::IPC_RMID, 0));
        let _ = self.messages.map(|id| call!(SYS_msgctl, id, libc::IPC_RMID, 0));
        if let Ok(name) = text(Path::new(&queue(&self.around))) {
            let _ = call!(SYS_mq_unlink, &name);
        }
        let _ = std::fs::remove_file(shared(&self.around));
    }
}

/// A number that is this directory's alone, as good as certainly.
fn key(around: &Path) -> i32 {
    let mixed = around
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(5381_u32, |sum, byte| sum.wrapping_mul(33) ^ u32::from(*byte));
    (mixed >> 1).cast_signed() | 1
}

fn queue(around: &Path) -> String {
    format!("drydock-{}", key(around))
}

fn shared(around: &Path) -> PathBuf {
    PathBuf::from(format!("/dev/shm/drydock-{}", key(around)))
}
