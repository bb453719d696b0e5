use std::{collections::BTreeSet, time::Duration};

use super::{CARDS, Targets, plan};

fn targets() -> Targets {
    let names = |role: &str, count| (1..=count).map(|number| format!("{role}-{number}")).collect();
    Targets { workers: names("worker", 3), dispatchers: names("dispatcher", 2), apis: names("api", 2) }
}

#[test]
fn a_seed_is_a_plan_and_another_seed_another() {
    let minute = Duration::from_secs(60);
    assert_eq!(plan(7, minute, &targets()), plan(7, minute, &targets()));
    assert_ne!(plan(7, minute, &targets()), plan(8, minute, &targets()));
}

#[test]
fn ninety_seconds_hold_every_kind_of_fault() {
    for seed in 0..50 {
        let steps = plan(seed, Duration::from_secs(90), &targets());
        let kinds: BTreeSet<String> = steps
            .iter()
            .map(|step| serde_json::to_value(&step.fault).unwrap()["fault"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(kinds.len(), 13, "seed {seed}: {kinds:?}");
        assert!(steps.len() >= CARDS.len(), "seed {seed}: {} steps", steps.len());
    }
}

#[test]
fn no_fault_heals_anothers_and_all_are_over_at_the_end() {
    let (targets, duration) = (targets(), Duration::from_secs(300));
    let steps = plan(3, duration, &targets);
    let services = targets.all();
    for (place, step) in steps.iter().enumerate() {
        assert!(u128::from(step.at + step.fault.length()) < duration.as_millis());
        for later in &steps[place + 1..] {
            let shared = step.fault.claims(&services).iter().any(|claim| later.fault.claims(&services).contains(claim));
            assert!(!shared || step.at + step.fault.length() <= later.at, "{step:?} and {later:?}");
        }
    }
}
