//! Memory: a worker that moves a 200 MB workspace both ways stays within its 96 MiB.
//!
//! Measured in a process of its own (this test binary, started again), because other tests run in this one.

use std::{fs, io::Write as _, path::Path, process::Command, time::Instant};

use super::Project;

const LIMIT_KIB: u64 = 96 << 10;
/// As the image sets it (deploy/Dockerfile): glibc otherwise keeps as much more as other processes let many threads run at once.
const ALLOCATOR: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "2"), ("MALLOC_MMAP_THRESHOLD_", "1048576")];
const CHILD: &str = "DRYDOCK_TEST_MEMORY_CHILD";

#[test]
fn moving_200_mb_stays_within_96_mib() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "workspace::tests::memory::child", "--ignored", "--nocapture"])
        .env(CHILD, "1")
        .envs(ALLOCATOR)
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&child.stdout);
    println!("{output}");
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    let peaks = output.lines().filter_map(|line| line.split_once("peak_kib=")?.1.parse::<u64>().ok());
    let peaks: Vec<u64> = peaks.collect();
    assert_eq!(peaks.len(), 4, "{output}");
    assert!(peaks.iter().all(|&peak| peak < LIMIT_KIB), "{output}");
}

#[test]
#[ignore = "started by the test above"]
fn child() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let mut project = Project::new();
        let one = tempfile::tempdir().unwrap();
        fill(one.path());
        measure("idle", async {}).await;
        measure("push 200 MB", project.commit(one.path(), None)).await;
        let two = measure("materialize 200 MB", project.materialize()).await.unwrap();
        fs_err::write(two.path().join("d7/new"), "new").unwrap();
        let pushed = measure("push 1 change of 10,000 files", project.commit(two.path(), two.how())).await;
        assert_eq!(pushed.changes.len(), 1);
        let three = project.materialize().await.unwrap();
        assert_eq!(super::oracle::read(three.path()), super::oracle::read(two.path()));
    });
}

/// 10,000 files in 100 directories, 200 MB, as source trees are: many small ones, half of it compressible, a few big ones.
fn fill(top: &Path) {
    let mut noise = blake3::Hasher::new().update(b"fill").finalize_xof();
    let mut buffer = vec![0; 1 << 20];
    for at in 0..10_000_u32 {
        let directory = top.join(format!("d{}", at % 100));
        fs_err::create_dir_all(&directory).unwrap();
        let len = match at {
            0 => 40 << 20,
            1..10 => 3 << 20,
            _ if at % 20 == 0 => 150 << 10,
            _ => 6 << 10,
        };
        let mut file = fs::File::create(directory.join(format!("file-{at}.rs"))).unwrap();
        let mut left: usize = len;
        while left > 0 {
            let part = left.min(buffer.len());
            noise.fill(&mut buffer[..part]);
            // Half noise, half repetition.
            let half = part / 2;
            buffer[half..part].fill(b' ');
            file.write_all(&buffer[..part]).unwrap();
            left -= part;
        }
    }
}

async fn measure<T>(what: &str, work: impl Future<Output = T>) -> T {
    // Resets the high-water mark (proc(5)).
    fs_err::write("/proc/self/clear_refs", "5").unwrap();
    let start = Instant::now();
    let result = work.await;
    let seconds = start.elapsed().as_secs_f64();
    let status = fs_err::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let peak: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!("{what}: {seconds:.2} s, peak_kib={peak}");
    result
}
