//! Results that the database did not take at once, kept on disk beside the workspaces, so that a worker that dies meanwhile
//! costs no work: its successor tells them before it registers, because registering ends whatever its predecessor ran.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use drydock_database::{
    Database, DatabaseError,
    job::{self, Finish, Finished},
};
use drydock_domain::AttemptId;
use drydock_runtime::{Backoff, exit::chain};
use serde::{Deserialize, Serialize};

use crate::workspace::{ScratchRoot, scratch::SPOOL};

/// Format of the files.
const FORMAT: u8 = 1;
/// How long a start may wait for the database to take what is kept.
const PATIENCE: Duration = Duration::from_secs(10);
const KEPT: &str = "json";
/// A file that is being written; after a crash, a piece of one.
const UNFINISHED: &str = ".part";
/// What cannot be read is kept under another name, for people.
const ASIDE: &str = "unreadable";

/// A file of the spool.
#[derive(Serialize, Deserialize)]
struct Kept<F> {
    v: u8,
    #[serde(flatten)]
    finish: F,
}

/// Tells the database once.
pub(crate) async fn tell(database: &Database, finish: &Finish) -> Result<Finished, DatabaseError> {
    job::finish(&database.client().await?, finish).await
}

/// The directory of one worker's untold results; made when first needed.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    directory: PathBuf,
}

impl Spool {
    pub(crate) fn of(scratch: &ScratchRoot) -> Self {
        Self { directory: scratch.path().join(SPOOL) }
    }

    /// Keeps a result, durably. Blocking.
    pub(crate) fn keep(&self, finish: &Finish) -> io::Result<()> {
        fs_err::create_dir_all(&self.directory)?;
        // Readable by its owner alone, as all temporary files: it holds what the agent said.
        let mut file = tempfile::Builder::new().suffix(UNFINISHED).tempfile_in(&self.directory)?;
        file.write_all(&serde_json::to_vec(&Kept { v: FORMAT, finish })?)?;
        file.as_file().sync_all()?;
        file.persist(self.path(finish.attempt))?;
        fs_err::File::open(&self.directory)?.sync_all()
    }

    /// Forgets a result that was told. Blocking.
    pub(crate) fn forget(&self, attempt: AttemptId) -> io::Result<()> {
        fs_err::remove_file(self.path(attempt))?;
        // Fails while others are in it.
        let _others_are_in_it = std::fs::remove_dir(&self.directory);
        Ok(())
    }

    /// Tells everything an earlier worker kept; answers how many results the database settled. What it cannot take now stays.
    pub(crate) async fn tell_all(&self, database: &Database) -> usize {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut settled = 0;
        for path in self.kept() {
            let Some(finish) = self.read(&path) else { continue };
            let told = tokio::time::timeout_at(deadline, tell_until_answered(&finish, database)).await;
            let (job, attempt) = (finish.job, finish.attempt);
            match told {
                Ok(Ok(Finished::Fenced)) => {
                    tracing::warn!(%job, %attempt, "dropped a result kept on disk: its job was given to another attempt meanwhile");
                }
                Ok(Ok(answer)) => {
                    tracing::info!(%job, %attempt, outcome = %finish.outcome, ?answer, "told a result kept on disk");
                }
                Ok(Err(error)) => {
                    tracing::error!(%job, %attempt, "the database refuses a result kept on disk: {}", chain(&error));
                    aside(&path);
                    continue;
                }
                Err(_) => {
                    tracing::error!(%job, %attempt, "a result stays on disk: no answer within {} s", PATIENCE.as_secs());
                    continue;
                }
            }
            settled += 1;
            if let Err(error) = self.forget(attempt) {
                tracing::warn!(%error, "failed to remove a result that was told");
            }
        }
        settled
    }

    fn path(&self, attempt: AttemptId) -> PathBuf {
        self.directory.join(format!("{attempt}.{KEPT}"))
    }

    /// Oldest first: attempts are named by time.
    fn kept(&self) -> Vec<PathBuf> {
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                tracing::error!(%error, "failed to look for results kept on disk");
                return Vec::new();
            }
        };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| {
            let unfinished = path.as_os_str().as_encoded_bytes().ends_with(UNFINISHED.as_bytes());
            if unfinished {
                // Asked only at a start, when nobody writes; what cannot go now goes with the next one.
                let _gone = std::fs::remove_file(path);
            }
            !unfinished
        });
        let mut kept: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|extension| extension == KEPT)).collect();
        kept.sort();
        kept
    }

    /// `None` for what is no result; it is put aside.
    fn read(&self, path: &Path) -> Option<Finish> {
        let read = fs_err::read(path).and_then(|bytes| Ok(serde_json::from_slice::<Kept<Finish>>(&bytes)?)).and_then(
            |Kept { v, finish }| {
                let known = v == FORMAT && path == self.path(finish.attempt);
                known.then_some(finish).ok_or_else(|| io::Error::other("its format or name is not known here"))
            },
        );
        read.inspect_err(|error| {
            tracing::error!(path = %path.display(), "cannot read a result kept on disk, put it aside: {}", chain(error));
            aside(path);
        })
        .ok()
    }
}

async fn tell_until_answered(finish: &Finish, database: &Database) -> Result<Finished, DatabaseError> {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    loop {
        match tell(database, finish).await {
            Err(error) if error.is_unavailable() => tokio::time::sleep(backoff.next_delay()).await,
            answer => return answer,
        }
    }
}

fn aside(path: &Path) {
    if let Err(error) = fs_err::rename(path, path.with_extension(ASIDE)) {
        tracing::error!("failed to put it aside: {}", chain(&error));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use drydock_database::report::{Report, StoredTree};
    use drydock_domain::{JobId, Outcome};

    use super::*;

    fn text(finish: &Finish) -> String {
        serde_json::to_string(finish).unwrap()
    }

    fn result() -> Finish {
        let report = Report { summary: Some("all \0 done".to_owned()), run_s: Some(1.5), ..Report::default() };
        let tree = StoredTree {
            tree_id: "ab".to_owned(),
            manifest_id: "cd".to_owned(),
            delta: None,
            packs: Vec::new(),
            file_count: 1,
            total_bytes: 2,
        };
        let finish = Finish::new(JobId::generate(), AttemptId::generate(), Outcome::Succeeded, report);
        Finish { tree: Some(tree), ..finish }
    }

    fn spool() -> (tempfile::TempDir, ScratchRoot, Spool) {
        let place = tempfile::tempdir().unwrap();
        let scratch = ScratchRoot::open(place.path(), 0).unwrap();
        let spool = Spool::of(&scratch);
        (place, scratch, spool)
    }

    #[test]
    fn a_result_survives_the_sweep_of_the_next_start_and_is_private() {
        let (_place, scratch, spool) = spool();
        let result = result();
        spool.keep(&result).unwrap();
        assert_eq!(scratch.sweep().unwrap(), 0);
        let kept = spool.kept();
        assert_eq!(kept.len(), 1);
        assert_eq!(fs_err::metadata(&kept[0]).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(spool.read(&kept[0]).as_ref().map(text), Some(text(&result)));
        spool.forget(result.attempt).unwrap();
        assert!(!spool.directory.exists(), "it was the last");
    }

    #[test]
    fn what_is_no_result_is_put_aside() {
        let (_place, _scratch, spool) = spool();
        let good = result();
        spool.keep(&good).unwrap();
        let newer = format!("{{\"v\":9,{}", &text(&good)[1..]);
        fs_err::write(spool.directory.join("x.part"), "{").unwrap();
        for (name, text) in [("a", "".to_owned()), ("b", "{\"v\":1}".to_owned()), ("c", newer)] {
            fs_err::write(spool.directory.join(format!("{name}.json")), text).unwrap();
        }
        let read: Vec<_> = spool.kept().iter().filter_map(|path| spool.read(path)).collect();
        assert_eq!(read.iter().map(text).collect::<Vec<_>>(), [text(&good)]);
        assert_eq!(spool.kept().len(), 1);
        assert_eq!(std::fs::read_dir(&spool.directory).unwrap().count(), 4, "nothing that was whole is thrown away");
    }

    #[tokio::test]
    async fn a_fenced_result_is_dropped_and_one_that_nobody_takes_stays() {
        let (_place, _scratch, spool) = spool();
        spool.keep(&result()).unwrap();
        let nowhere = "postgres://nobody@127.0.0.1:1/none".to_owned().into();
        let away = Database::new(&drydock_database::DatabaseConfig::default(), &nowhere).unwrap();
        assert_eq!((spool.tell_all(&away).await, spool.kept().len()), (0, 1));
        let database = drydock_testing::database().await;
        assert_eq!((spool.tell_all(&database).await, spool.kept().len()), (1, 0));
    }
}
