//! Freezing: every process of a run stops and goes on, and no clock of the run counts meanwhile.

use std::{path::Path, time::Duration};

use drydock_agent::{Ending, Hold};
use fs_err as fs;

use crate::agent_harness::{Ran, Scratch, shell};

const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than any of the scripts below sleeps.
const QUIET: Duration = Duration::from_millis(300);

async fn exists(path: &Path) {
    drydock_testing::until(&format!("{} is there", path.display()), PATIENCE, || async { path.exists().then_some(()) })
        .await;
}

/// Counts in the foreground, in a session of its own, and where only its directory tells whose it is.
const COUNTING: &str =
    "count() { i=0; while [ ! -e end ]; do i=$((i+1)); echo $i > $1.new; mv $1.new $1; sleep 0.01; done; }
    if [ $# -gt 0 ]; then count $1; exit; fi
    setsid sh \"$SELF\" away & (setsid env -i sh \"$SELF\" bare &) ; count here; wait";

fn counts(scratch: &Scratch) -> Vec<String> {
    ["here", "away", "bare"].map(|name| fs::read_to_string(scratch.file(name)).unwrap_or_default()).to_vec()
}

async fn frozen<T>(hold: &Hold, then: impl Future<Output = T>) -> T {
    let freezing = hold.clone();
    assert!(tokio::task::spawn_blocking(move || freezing.freeze()).await.unwrap());
    let value = then.await;
    assert!(hold.thaw());
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn t30_a_frozen_run_stands_still_wherever_its_processes_went_and_goes_on() {
    let scratch = Scratch::new();
    fs::write(scratch.file("count.sh"), COUNTING.replace("$SELF", "count.sh")).unwrap();
    let agents = shell("exit", "exec sh count.sh", &[]);
    let watch = async {
        for name in ["here", "away", "bare"] {
            exists(&scratch.file(name)).await;
        }
        let (before, after) = frozen(&scratch.hold, async {
            let before = counts(&scratch);
            tokio::time::sleep(QUIET).await;
            (before, counts(&scratch))
        })
        .await;
        assert_eq!(before, after, "nothing ran while frozen");
        drydock_testing::until("all go on", PATIENCE, || async {
            counts(&scratch).iter().zip(&after).all(|(now, then)| now != then).then_some(())
        })
        .await;
        fs::write(scratch.file("end"), "").unwrap();
    };
    let (ran, ()) = tokio::join!(scratch.run(&agents, "sh", None), watch);
    assert_eq!(ran.exit.ending, Ending::Exited(0), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_frozen_counts_toward_no_limit() {
    let mut scratch = Scratch::new();
    scratch.timeout = Some(Duration::from_millis(800));
    let agents = shell("exit", "touch on; while [ ! -e end ]; do sleep 0.01; done", &[]);
    let watch = async {
        exists(&scratch.file("on")).await;
        frozen(&scratch.hold, tokio::time::sleep(Duration::from_millis(1200))).await;
        fs::write(scratch.file("end"), "").unwrap();
    };
    let (ran, ()) = tokio::join!(scratch.run(&agents, "sh", None), watch);
    assert_eq!(ran.exit.ending, Ending::Exited(0), "{ran:?}");
}

async fn silent_for(limit: Duration, script: &str) -> Ending {
    let mut scratch = Scratch::new();
    scratch.silence = Some(limit);
    scratch.run(&shell("exit", script, &[]), "sh", None).await.exit.ending
}

#[tokio::test]
async fn a_silent_agent_is_stopped_and_one_that_speaks_now_and_then_is_not() {
    let limit = Duration::from_millis(700);
    assert_eq!(silent_for(limit, "sleep 300").await, Ending::Silent(limit));
    assert_eq!(silent_for(limit, "for i in 1 2 3 4 5 6 7 8; do printf .; sleep 0.2; done").await, Ending::Exited(0));
    assert_eq!(silent_for(limit, "echo once; sleep 300").await, Ending::Silent(limit));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_silence_of_a_frozen_agent_is_not_held_against_it() {
    let mut scratch = Scratch::new();
    scratch.silence = Some(Duration::from_millis(700));
    let agents = shell("exit", "touch on; while [ ! -e end ]; do sleep 0.01; done", &[]);
    let watch = async {
        exists(&scratch.file("on")).await;
        frozen(&scratch.hold, tokio::time::sleep(Duration::from_millis(1200))).await;
        fs::write(scratch.file("end"), "").unwrap();
    };
    let (ran, ()) = tokio::join!(scratch.run(&agents, "sh", None), watch);
    assert_eq!(ran.exit.ending, Ending::Exited(0), "{ran:?}");
}

async fn canceled_while_frozen(condemned: bool) -> (Scratch, Ran) {
    let scratch = Scratch::new();
    let script = "trap 'touch heard; exit 0' TERM; touch on; while :; do sleep 0.01; done";
    let agents = shell("exit", script, &[]);
    let watch = async {
        exists(&scratch.file("on")).await;
        let hold = scratch.hold.clone();
        tokio::task::spawn_blocking(move || hold.freeze()).await.unwrap();
        if condemned {
            scratch.hold.condemn();
        }
        scratch.cancel.cancel();
    };
    let (ran, ()) = tokio::join!(scratch.run(&agents, "sh", None), watch);
    (scratch, ran)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_agent_hears_that_it_shall_stop() {
    let (scratch, ran) = canceled_while_frozen(false).await;
    assert_eq!(ran.exit.ending, Ending::Canceled);
    assert!(scratch.file("heard").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condemned_agent_does_not_run_again() {
    let (scratch, ran) = canceled_while_frozen(true).await;
    assert_eq!(ran.exit.ending, Ending::Canceled);
    assert!(!scratch.file("heard").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn none_starts_while_frozen() {
    let scratch = Scratch::new();
    let agents = shell("exit", "touch on", &[]);
    scratch.hold.freeze();
    let watch = async {
        exists(&scratch.file(".codex/request.json")).await;
        tokio::time::sleep(QUIET).await;
        assert!(!scratch.file("on").exists());
        scratch.hold.thaw();
    };
    let (ran, ()) = tokio::join!(scratch.run(&agents, "sh", None), watch);
    assert_eq!(ran.exit.ending, Ending::Exited(0), "{ran:?}");
}
