//! One attempt on disk: `job.json`, `log.<seq>.<offset>` for each part, `command.<n>.json`, `ended.json`, `result.json`.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use drydock_database::report::Report;
use drydock_domain::{
    AttemptId, Outcome,
    daemon::{DaemonJob, FromDaemon, MAX_LOG},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use super::{super::state::write_whole, Key};

/// What an attempt came to, but for the version.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// What is told of it.
    pub(crate) report: Report,
}

#[derive(Debug)]
pub(super) struct Attempt {
    path: PathBuf,
    job: DaemonJob,
    /// Parts the fleet does not know, with the bytes before each.
    parts: BTreeMap<i32, i64>,
    /// The next part's place.
    next: (i32, i64),
    /// The newest part, which stays on disk, known or not, to tell where the next one is.
    newest: Option<(i32, i64)>,
    commands: BTreeMap<u64, Uuid>,
    commands_made: u64,
    ended: Option<Ended>,
    result: bool,
}

impl Attempt {
    pub(super) fn begin(path: PathBuf, job: DaemonJob) -> io::Result<Self> {
        fs_err::create_dir_all(&path)?;
        write_whole(&path.join("job.json"), &serde_json::to_vec(&job)?)?;
        Ok(Self {
            path,
            job,
            parts: BTreeMap::new(),
            next: (0, 0),
            newest: None,
            commands: BTreeMap::new(),
            commands_made: 0,
            ended: None,
            result: false,
        })
    }

    /// `None` for one that was never begun.
    pub(super) fn load(path: PathBuf) -> io::Result<Option<Self>> {
        let Some(job) = read(&path.join("job.json")) else { return Ok(None) };
        let mut found = Self::begin(path.clone(), job)?;
        for entry in fs_err::read_dir(&path)? {
            let entry = entry?;
            let name = entry.file_name();
            let words: Vec<&str> = name.to_str().unwrap_or_default().split('.').collect();
            match words.as_slice() {
                ["log", seq, offset] => {
                    let (Ok(seq), Ok(offset)) = (seq.parse::<i32>(), offset.parse::<i64>()) else { continue };
                    found.parts.insert(seq, offset);
                    let end = offset + i64::try_from(entry.metadata()?.len()).unwrap_or_default();
                    found.next = found.next.max((seq + 1, end));
                    found.newest = found.newest.max(Some((seq, offset)));
                }
                ["command", number, "json"] => {
                    let (Ok(number), Some(FromDaemon::Command { id, .. })) = (number.parse(), read(&entry.path()))
                    else {
                        continue;
                    };
                    found.commands.insert(number, id);
                    found.commands_made = found.commands_made.max(number + 1);
                }
                _ => {}
            }
        }
        found.ended = read(&path.join("ended.json"));
        found.result = read::<FromDaemon>(&path.join("result.json")).is_some();
        Ok(Some(found))
    }

    pub(super) const fn job(&self) -> &DaemonJob {
        &self.job
    }

    pub(super) const fn has_result(&self) -> bool {
        self.result
    }

    pub(super) fn ended(&self) -> Option<Ended> {
        self.ended.clone()
    }

    pub(super) const fn log_bytes(&self) -> i64 {
        self.next.1
    }

    pub(super) fn log(&mut self, text: &str) -> io::Result<()> {
        let mut rest = text;
        while !rest.is_empty() {
            let (part, after) = rest.split_at(rest.floor_char_boundary(MAX_LOG));
            let (seq, offset) = self.next;
            write_whole(&self.part(seq, offset), part.as_bytes())?;
            if let Some((before, at)) =
                self.newest.replace((seq, offset)).filter(|(seq, _)| !self.parts.contains_key(seq))
            {
                remove(&self.part(before, at));
            }
            self.parts.insert(seq, offset);
            self.next = (seq + 1, offset + i64::try_from(part.len()).unwrap_or_default());
            rest = after;
        }
        Ok(())
    }

    pub(super) fn command(&mut self, frame: &FromDaemon) -> io::Result<()> {
        let FromDaemon::Command { id, .. } = frame else { return Ok(()) };
        let number = self.commands_made;
        write_whole(&self.path.join(format!("command.{number}.json")), &serde_json::to_vec(frame)?)?;
        self.commands.insert(number, *id);
        self.commands_made += 1;
        Ok(())
    }

    pub(super) fn end(&mut self, ended: &Ended) -> io::Result<()> {
        write_whole(&self.path.join("ended.json"), &serde_json::to_vec(ended)?)?;
        self.ended = Some(ended.clone());
        Ok(())
    }

    pub(super) fn result(&mut self, frame: &FromDaemon) -> io::Result<()> {
        write_whole(&self.path.join("result.json"), &serde_json::to_vec(frame)?)?;
        self.result = true;
        Ok(())
    }

    pub(super) fn logged(&mut self, seq: i32) {
        if let Some(offset) = self.parts.remove(&seq).filter(|offset| self.newest != Some((seq, *offset))) {
            remove(&self.part(seq, offset));
        }
    }

    pub(super) fn noted(&mut self, id: Uuid) {
        let number = self.commands.iter().find(|(_, known)| **known == id).map(|(number, _)| *number);
        if let Some(number) = number {
            self.commands.remove(&number);
            remove(&self.path.join(format!("command.{number}.json")));
        }
    }

    /// What the fleet does not know, in the order in which it goes.
    pub(super) fn open(&self, id: AttemptId) -> impl Iterator<Item = Key> + '_ {
        let result = self.is_told_but_for_its_result().then_some(Key::Result(id));
        let parts = self.parts.keys().map(move |seq| Key::Log(id, *seq));
        parts.chain(self.commands.values().map(|id| Key::Command(*id))).chain(result)
    }

    /// Whether the fleet does not know this.
    pub(super) fn holds(&self, key: Key) -> bool {
        match key {
            Key::Log(_, seq) => self.parts.contains_key(&seq),
            Key::Command(id) => self.commands.values().any(|known| *known == id),
            Key::Result(_) => self.is_told_but_for_its_result(),
        }
    }

    fn is_told_but_for_its_result(&self) -> bool {
        self.parts.is_empty() && self.commands.is_empty() && self.result
    }

    pub(super) fn frame(&self, key: Key) -> Option<FromDaemon> {
        match key {
            Key::Log(attempt, seq) => {
                let offset = *self.parts.get(&seq)?;
                // A part that the disk has lost is told as an empty one: its attempt has to end.
                let text = fs_err::read_to_string(self.part(seq, offset)).unwrap_or_default();
                Some(FromDaemon::Log { attempt, seq, offset, text })
            }
            Key::Command(id) => {
                let (number, _) = self.commands.iter().find(|(_, known)| **known == id)?;
                let told = read(&self.path.join(format!("command.{number}.json")));
                // One that the disk has lost is told as far as it is known.
                let detail = || Some("what is known of this command was lost".to_owned());
                Some(told.unwrap_or_else(|| FromDaemon::Command {
                    id,
                    attempt: self.job.attempt,
                    argv: self.job.argv.clone().unwrap_or_default(),
                    refused: false,
                    exit_code: None,
                    detail: detail(),
                }))
            }
            Key::Result(_) => read(&self.path.join("result.json")),
        }
    }

    pub(super) fn remove(self) {
        // First what makes it one: a removal that is cut short leaves nothing that would be told again.
        remove(&self.path.join("job.json"));
        let _left = fs_err::remove_dir_all(&self.path);
    }

    fn part(&self, seq: i32, offset: i64) -> PathBuf {
        self.path.join(format!("log.{seq}.{offset}"))
    }
}

/// One that cannot be read was never written to its end.
fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs_err::read(path).ok()?).ok()
}

fn remove(path: &Path) {
    // What stays is told once more, and known by then.
    let _left = fs_err::remove_file(path);
}
