//! The fleet, from what workers say of themselves: who is there, and how they make workspaces.

use std::collections::BTreeMap;

use drydock_client::{
    Client, ClientError, Document,
    views::{List, Worker},
};
use drydock_domain::rungs;
use drydock_runtime::{
    doctor::{Finding, Report},
    exit::chain,
};

use super::LIMIT;
use crate::Exit;

/// Workers named at most.
const NAMED: usize = 3;

pub(super) async fn look(client: &Client, report: &mut Report) {
    let fleet: Result<Document<List<Worker>>, _> = client.get(["workers"]).limit(LIMIT).document().await;
    let fleet = match fleet {
        Ok(fleet) => fleet.value.items,
        // The fleet is an operator's; jobs can be submitted all the same.
        Err(error @ ClientError::Refused(_)) if Exit::from(&error) == Exit::Config => {
            return report.add(Finding::skipped("workers", chain(&error), "ask with an operator's key"));
        }
        Err(error) => return report.add(Finding::failure("workers", chain(&error), "look at the API's log")),
    };
    let (there, lost): (Vec<&Worker>, Vec<&Worker>) = fleet.iter().partition(|worker| worker.state != "lost");
    report.add(presence(&there));
    if !lost.is_empty() {
        let what = format!("{} lost their lease: {}", lost.len(), names(&lost));
        report.add(Finding::warning("workers", what, "look whether these hosts run and reach PostgreSQL"));
    }
    for (build, workers) in grouped(&there, |worker| [worker.build.clone()]) {
        if build != drydock_runtime::build_info::VERSION {
            let what = format!("build {build} on {}", names(&workers));
            report.add(Finding::warning(
                "workers",
                what,
                "finish the roll-out, or install the command of this release",
            ));
        }
    }
    ways(&there, report);
}

fn presence(there: &[&Worker]) -> Finding {
    let live: Vec<&&Worker> = there.iter().filter(|worker| worker.state == "live").collect();
    if live.is_empty() {
        let remedy = match there.iter().find(|worker| worker.drain_asked_at.is_some()) {
            Some(drained) => format!("let one take jobs again: drydock workers undrain {}", drained.id),
            None => "start drydock-worker, and look at its log".to_owned(),
        };
        return Finding::failure("workers", "no worker takes jobs", remedy);
    }
    let sum = |of: fn(&Worker) -> u32| live.iter().map(|worker| u64::from(of(worker))).sum::<u64>();
    let (busy, slots) = (sum(|worker| worker.busy), sum(|worker| worker.slots));
    let in_state = |state: &str| there.iter().filter(|worker| worker.state == state).count();
    let (draining, drained) = (in_state("draining"), in_state("drained"));
    Finding::ok(
        "workers",
        format!("{} live, {draining} draining, {drained} drained; {busy} of {slots} slots in use", live.len()),
    )
}

/// One line for each way in use, and one for each reason why it is not a better one.
fn ways(there: &[&Worker], report: &mut Report) {
    for (rung, workers) in grouped(there, |worker| [worker.rung.clone()]) {
        report.add(Finding::ok("rungs", format!("{} make workspaces by {rung}", names(&workers))));
    }
    let refused = grouped(there, |worker| {
        let better = rungs::better_than(&worker.rung);
        better.filter_map(|rung| Some((rung, worker.refused_rungs.get(rung)?.clone()))).collect::<Vec<_>>()
    });
    for ((rung, reason), workers) in refused {
        let what = format!("{} cannot use {rung}: {reason}", names(&workers));
        report.add(Finding::warning("rungs", what, rungs::remedy(rung, &reason)));
    }
}

fn grouped<'w, K: Ord, I: IntoIterator<Item = K>>(
    workers: &[&'w Worker],
    keys: impl Fn(&Worker) -> I,
) -> BTreeMap<K, Vec<&'w Worker>> {
    let mut groups: BTreeMap<K, Vec<&Worker>> = BTreeMap::new();
    for &worker in workers {
        for key in keys(worker) {
            groups.entry(key).or_default().push(worker);
        }
    }
    groups
}

fn names(workers: &[&Worker]) -> String {
    let named: Vec<&str> = workers.iter().take(NAMED).map(|worker| worker.instance.as_str()).collect();
    match workers.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use drydock_runtime::doctor::Verdict;
    use serde_json::json;

    use super::*;

    fn worker(instance: &str, rung: &str, refused: &[(&str, &str)]) -> Worker {
        let refused: BTreeMap<_, _> = refused.iter().copied().collect();
        let told = json!({"id": "w", "instance": instance, "pool": "default", "state": "live", "slots": 4, "busy": 1, "isolation": "none",
            "rung": rung, "refused_rungs": refused, "build": "b", "started_at": "2026-01-02T03:04:05Z"});
        serde_json::from_value(told).unwrap()
    }

    #[test]
    fn only_better_ways_that_are_refused_are_told_and_equal_reasons_once() {
        let eperm = "cannot mount erofs: Operation not permitted (os error 1)";
        let workers = [
            worker("a", "erofs", &[("reflink", "Operation not supported (os error 95)")]),
            worker("b", "reflink", &[("erofs", eperm)]),
            worker("c", "reflink", &[("erofs", eperm)]),
        ];
        let mut report = Report::default();
        ways(&workers.iter().collect::<Vec<_>>(), &mut report);
        let lines: Vec<&str> = report.0.iter().map(|finding| finding.what.as_str()).collect();
        let refused = format!("b, c cannot use erofs: {eperm}");
        assert_eq!(lines, ["a make workspaces by erofs", "b, c make workspaces by reflink", &refused]);
        assert!(matches!(&report.0[2].verdict, Verdict::Warning(remedy) if remedy.contains("CAP_SYS_ADMIN")));
    }

    #[test]
    fn a_large_fleet_is_not_named_whole() {
        let workers: Vec<Worker> = ["a", "b", "c", "d", "e"].iter().map(|name| worker(name, "copy", &[])).collect();
        let workers: Vec<&Worker> = workers.iter().collect();
        assert_eq!(names(&workers), "a, b, c and 2 more");
        assert_eq!(presence(&workers).what, "5 live, 0 draining, 0 drained; 5 of 20 slots in use");
        assert!(matches!(presence(&[]).verdict, Verdict::Failure(_)));
    }

    #[test]
    fn who_drained_them_all_is_told_how_to_go_on() {
        let mut drained = worker("a", "copy", &[]);
        (drained.state, drained.drain_asked_at) = ("drained".to_owned(), Some(drained.started_at));
        let verdict = presence(&[&drained]).verdict;
        assert!(
            matches!(&verdict, Verdict::Failure(remedy) if remedy.ends_with("drydock workers undrain w")),
            "{verdict:?}"
        );
    }
}
