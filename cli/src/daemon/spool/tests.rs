use std::collections::BTreeMap;

use drydock_domain::{JobType, ProjectId};

use super::*;

fn job() -> DaemonJob {
    DaemonJob {
        attempt: AttemptId::generate(),
        job: JobId::generate(),
        project: ProjectId::generate(),
        number: 1,
        job_type: JobType::Edit,
        instruction: "do".to_owned(),
        argv: None,
        agent: "dummy".to_owned(),
        labels: BTreeMap::new(),
        timeout_s: None,
        silence_timeout_s: None,
        read_only: false,
    }
}

fn command(attempt: AttemptId) -> FromDaemon {
    FromDaemon::Command {
        id: Uuid::now_v7(),
        attempt,
        argv: vec!["ls".to_owned()],
        refused: false,
        exit_code: Some(0),
        detail: None,
    }
}

fn end(spool: &Spool, job: &DaemonJob) {
    spool.result(job.attempt, job.job, Outcome::Succeeded, Some(3), serde_json::json!({})).unwrap();
}

/// What would be sent on a new connection.
fn all(spool: &Spool) -> Vec<Key> {
    spool.next(&HashSet::new(), usize::MAX).into_iter().map(|(key, _)| key).collect()
}

#[test]
fn logs_go_before_the_result_and_each_goes_until_it_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path().to_owned()).unwrap();
    let job = job();
    let id = job.attempt;
    assert!(spool.begin(&job).unwrap());
    assert!(!spool.begin(&job).unwrap(), "it is in hand");
    spool.log(id, "one\n").unwrap();
    spool.log(id, "two\n").unwrap();
    spool.command(id, &command(id)).unwrap();
    end(&spool, &job);
    let Key::Command(command) = all(&spool)[2] else { panic!("{:?}", all(&spool)) };
    assert_eq!(all(&spool), [Key::Log(id, 0), Key::Log(id, 1), Key::Command(command)]);
    assert_eq!(spool.next(&HashSet::from([Key::Log(id, 0)]), 1)[0].0, Key::Log(id, 1), "one is under way already");
    spool.known(Key::Log(id, 0));
    spool.known(Key::Command(command));
    assert_eq!(all(&spool), [Key::Log(id, 1)], "the result waits");
    spool.known(Key::Log(id, 1));
    assert_eq!(all(&spool), [Key::Result(id)]);
    spool.known(Key::Result(id));
    assert!(spool.in_hand().is_empty() && fs_err::read_dir(dir.path()).unwrap().next().is_none());
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (kept, running) = (job(), job());
    {
        let spool = Spool::open(dir.path().to_owned()).unwrap();
        for job in [&kept, &running] {
            spool.begin(job).unwrap();
        }
        spool.log(kept.attempt, "one\n").unwrap();
        spool.log(kept.attempt, "two\n").unwrap();
        spool.known(Key::Log(kept.attempt, 0));
        spool.known(Key::Log(kept.attempt, 1));
        spool.log(kept.attempt, "three\n").unwrap();
        spool.command(kept.attempt, &command(kept.attempt)).unwrap();
        end(&spool, &kept);
    }
    let spool = Spool::open(dir.path().to_owned()).unwrap();
    assert_eq!(spool.in_hand(), [kept.attempt, running.attempt]);
    let unfinished = spool.unfinished();
    assert_eq!(unfinished.len(), 1);
    assert_eq!((&unfinished[0].0, unfinished[0].1.is_none()), (&running, true));
    let sent = spool.next(&HashSet::new(), usize::MAX);
    let FromDaemon::Log { seq, offset, text, .. } = &sent[0].1 else { panic!("{sent:?}") };
    assert_eq!((*seq, *offset, text.as_str()), (2, 8, "three\n"));
    assert!(matches!(sent[1].1, FromDaemon::Command { .. }));
    assert_eq!(sent.len(), 2);
    spool.log(kept.attempt, "four\n").unwrap();
    assert_eq!(spool.log_bytes(kept.attempt), 19);
}

#[test]
fn a_log_is_cut_between_characters_and_what_was_half_written_counts_not() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::open(dir.path().to_owned()).unwrap();
    let job = job();
    spool.begin(&job).unwrap();
    let text = "ü".repeat(drydock_domain::daemon::MAX_LOG);
    spool.log(job.attempt, &text).unwrap();
    let own = dir.path().join(job.attempt.to_string());
    fs_err::write(own.join("log.9.new"), "half").unwrap();
    fs_err::write(own.join("result.json"), "{\"type\":\"res").unwrap();
    let spool = Spool::open(dir.path().to_owned()).unwrap();
    let parts: Vec<String> = spool
        .next(&HashSet::new(), usize::MAX)
        .into_iter()
        .map(|(_, frame)| match frame {
            FromDaemon::Log { text, .. } => text,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!((parts.len(), parts.concat()), (2, text));
    assert_eq!(spool.unfinished().len(), 1);
}
