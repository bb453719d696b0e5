//! Each predicate of the protocol, taken away one at a time: a suite that stays green without it does not test it. The text to
//! replace must occur exactly once, so that a changed function asks for a changed mutant; a survivor must name what makes the
//! predicate redundant, and one that is listed as such must survive.

mod list;

use std::time::{Duration, Instant};

use drydock_database::{Client, Database};

use super::{property, races, scripts};

/// What is changed where.
pub(crate) struct Mutant {
    function: &'static str,
    find: &'static str,
    put: &'static str,
    /// Why nothing can show it.
    redundant: Option<&'static str>,
}

/// A mutant that loops is dead, too.
const PATIENCE: Duration = Duration::from_secs(60);
/// Random steps made where directed ones show nothing.
const SEEDS: std::ops::Range<u64> = 1..3;
const STEPS: usize = 250;

/// The scripts that show a function's faults soonest.
fn scripts_of(function: &str) -> &'static [&'static str] {
    match function {
        "dd_claim_v4" => &["claim", "claims of workers"],
        "dd_finish_v5" => &["finish", "publish"],
        "dd_end_attempt_v2" | "dd_settle_v1" => &["retries", "lost", "cancel", "dependencies", "faults"],
        "dd_promote_v2" => &["places", "full places", "lane"],
        "dd_cancel_v1" => &["cancel"],
        "dd_reap_v2" | "dd_end_expired_workers_v1" => &["lost", "cancel"],
        "dd_renew_v4" | "dd_worker_start_v4" => &["renew"],
        "dd_redispatch_v2" | "dd_return_ticket_v2" => &["tickets", "unserved tickets"],
        "dd_pull_v1" | "dd_suits_v1" => &["claims of workers"],
        "dd_admit_v6" => &["admission", "fair", "unserved tickets"],
        "dd_lead_v1" | "dd_leads_v1" | "dd_resign_v1" => &["lead"],
        "dd_accept_v3" => &["accept", "dependencies", "places", "waits"],
        _ => &["waits", "small batches", "dependencies", "deadlines"],
    }
}

/// The suite against the functions `database` has now, what is likeliest to fail first: what fails, if anything does.
async fn suite(database: &Database, mutant: &Mutant) -> Option<String> {
    let client = database.client().await.unwrap();
    let line = |error: &str| error.lines().take(3).map(str::trim).collect::<Vec<_>>().join(" ");
    let script =
        |(name, list, (place, error)): scripts::Shown| format!("script '{name}', {:?}: {}", list[place], line(&error));
    let race = |(name, error): (&str, String)| format!("race '{name}': {}", line(&error));
    let hinted = scripts_of(mutant.function);
    let is_lock = mutant.find.contains("FOR ");
    if is_lock && let Err(failure) = races::run_all(database).await {
        return Some(race(failure));
    }
    if let Err(failure) = scripts::run_some(&client, |name| hinted.contains(&name)).await {
        return Some(script(failure));
    }
    if !is_lock && let Err(failure) = races::run_all(database).await {
        return Some(race(failure));
    }
    let is_listed = mutant.redundant.is_some();
    let others = |name: &str| !is_listed && !hinted.contains(&name) && name != "faults";
    if let Err(failure) = scripts::run_some(&client, others).await {
        return Some(script(failure));
    }
    for seed in SEEDS.take(if is_listed { 1 } else { SEEDS.count() }) {
        if let Err((ops, error)) = property::random(&client, seed, STEPS).await {
            return Some(format!("seed {seed}, step {}: {}", ops.len(), line(&error)));
        }
    }
    None
}

async fn definition(client: &Client, function: &str) -> String {
    let sql = "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = $1";
    let row = client.query_one(sql, &[&function]).await;
    row.unwrap_or_else(|error| panic!("no function {function}: {error}")).get(0)
}

/// What killed it.
async fn kill(database: &Database, mutant: &Mutant) -> Option<String> {
    let client = database.client().await.unwrap();
    let sound = definition(&client, mutant.function).await;
    let places = sound.matches(mutant.find).count();
    assert_eq!(places, 1, "'{}' occurs {places} times in {}", mutant.find, mutant.function);
    client
        .batch_execute(&sound.replace(mutant.find, mutant.put))
        .await
        .unwrap_or_else(|error| panic!("{}: '{}' → '{}' is no SQL: {error}", mutant.function, mutant.find, mutant.put));
    let killer = tokio::time::timeout(PATIENCE, suite(database, mutant)).await;
    client.batch_execute(&sound).await.unwrap();
    killer.unwrap_or_else(|_| Some(format!("nothing within {PATIENCE:?}")))
}

#[tokio::test]
async fn each_mutant_changes_one_place() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let mut wrong = Vec::new();
    for mutant in list::all() {
        let sound = definition(&client, mutant.function).await;
        let places = sound.matches(mutant.find).count();
        let changed = client.batch_execute(&sound.replace(mutant.find, mutant.put)).await;
        client.batch_execute(&sound).await.unwrap();
        if places != 1 || changed.is_err() || mutant.find == mutant.put {
            wrong.push(format!("{}: '{}' occurs {places} times: {changed:?}", mutant.function, mutant.find));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// `DRYDOCK_MUTANTS=dd_claim_v4,dd_reap_v2` tries those functions alone.
#[expect(clippy::disallowed_methods, reason = "how much to test is asked of whoever runs it")]
fn wanted() -> Vec<String> {
    std::env::var("DRYDOCK_MUTANTS").map_or_else(|_| Vec::new(), |names| names.split(',').map(str::to_owned).collect())
}

/// Every `of`-th mutant from the `part`-th on, in a database of its own; the lines of the table, and what is wrong.
async fn part(part: usize, of: usize) -> (Vec<String>, Vec<String>) {
    let database = drydock_testing::database().await;
    let (mut table, mut wrong) = (Vec::new(), Vec::new());
    let wanted = wanted();
    for mutant in list::all().iter().skip(part).step_by(of) {
        if !wanted.is_empty() && !wanted.contains(&mutant.function.to_owned()) {
            continue;
        }
        let began = Instant::now();
        let killer = kill(&database, mutant).await;
        let name = format!("{}: '{}' → '{}'", mutant.function, mutant.find.trim(), mutant.put.trim());
        match (&killer, mutant.redundant) {
            (None, None) => wrong.push(format!("survived: {name}")),
            (Some(killer), Some(reason)) => wrong.push(format!("not redundant: {name}: {killer}, against: {reason}")),
            _ => {}
        }
        let fate = killer.or(mutant.redundant.map(str::to_owned)).unwrap_or_default();
        table.push(format!("{:5.1} s  {name}\n         {fate}", began.elapsed().as_secs_f64()));
    }
    (table, wrong)
}

/// How many tests share the list: the test runner can run them side by side.
const PARTS: usize = 8;

#[expect(clippy::print_stdout, reason = "which test holds which predicate is worth reading")]
async fn all_die(number: usize) {
    let (table, wrong) = part(number, PARTS).await;
    println!("{}", table.join("\n"));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

macro_rules! parts {
    ($($name:ident = $number:literal),+) => {
        $(#[tokio::test]
        async fn $name() {
            all_die($number).await;
        })+
    };
}

parts! {
    each_mutant_dies_0 = 0,
    each_mutant_dies_1 = 1,
    each_mutant_dies_2 = 2,
    each_mutant_dies_3 = 3,
    each_mutant_dies_4 = 4,
    each_mutant_dies_5 = 5,
    each_mutant_dies_6 = 6,
    each_mutant_dies_7 = 7
}
