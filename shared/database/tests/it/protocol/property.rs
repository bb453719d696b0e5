//! Random steps from fixed seeds and one new one. `DRYDOCK_MODEL_SEED=n` runs that one alone; `DRYDOCK_MODEL_STEPS=n` makes each longer.

use std::time::{Duration, Instant};

use drydock_database::Client;

use super::{generate, op::Op, runner};

const SEEDS: std::ops::Range<u64> = 1..7;
const STEPS: usize = 250;
/// No seed is begun after this.
const ENOUGH: Duration = Duration::from_secs(15);

#[expect(clippy::disallowed_methods, reason = "how much to test is asked of whoever runs it")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

/// Random steps from one seed; the list made so far comes with a failure.
pub(crate) async fn random(client: &Client, seed: u64, steps: usize) -> Result<(), (Vec<Op>, String)> {
    let mut runner = runner::Runner::new(client).await;
    let mut generator = generate::Generator::new(seed);
    let mut ops = Vec::new();
    let mut beginning = generate::beginning().into_iter();
    for _ in 0..steps {
        let op = beginning.next().unwrap_or_else(|| generator.next(&runner.world));
        ops.push(op);
        if let Err(error) = runner.step(&ops[ops.len() - 1]).await {
            return Err((ops, error));
        }
    }
    Ok(())
}

#[tokio::test]
async fn random_steps_answer_as_the_model_says() {
    let database = drydock_testing::database().await;
    let client = database.client().await.unwrap();
    let steps = number("DRYDOCK_MODEL_STEPS").map_or(STEPS, |steps| usize::try_from(steps).unwrap());
    let fresh = uuid::Uuid::now_v7().as_u64_pair().1 % 1_000_000;
    let seeds =
        number("DRYDOCK_MODEL_SEED").map_or_else(|| std::iter::once(fresh).chain(SEEDS).collect(), |seed| vec![seed]);
    let began = Instant::now();
    let mut done = 0;
    for seed in &seeds {
        if done > 0 && seeds.len() > 1 && steps == STEPS && began.elapsed() > ENOUGH {
            break;
        }
        if let Err((ops, error)) = random(&client, *seed, steps).await {
            let place = ops.len() - 1;
            panic!("DRYDOCK_MODEL_SEED={seed} {}", runner::explain(&client, &ops, (place, error)).await);
        }
        done += 1;
    }
    println!("{done} seeds of {steps} steps in {:?}; the new seed was {fresh}", began.elapsed());
}
