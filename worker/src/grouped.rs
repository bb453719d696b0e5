//! Calls in groups: what jobs ask of PostgreSQL while an earlier call is under way goes in one transaction, because the commit,
//! which waits for the disk, is the dearest part of a short job. Each is answered as if it had asked alone, and what spoils a
//! group is asked again one by one, so that it spoils its own job only.

use std::{future::Future, time::Duration};

use drydock_database::DatabaseError;
use drydock_runtime::{
    group::{Bounds, Group},
    tasks,
};
use tokio::sync::oneshot;

/// Slots from which on a worker rests between groups; one with fewer would wait with all of them.
const MANY_SLOTS: u16 = 16;

/// A transaction's locks are held for some milliseconds. One at once, and a rest where many come: fewer commits, for a few
/// milliseconds of a busy worker's slots.
fn bounds(slots: u16) -> Bounds {
    let rest = if slots < MANY_SLOTS { Duration::ZERO } else { Duration::from_millis(5) };
    Bounds { most: 32, heaviest: usize::MAX, at_once: 1, queue: 1024, rest, crowd: 4 }
}

/// A call that takes several requests.
pub(crate) trait Call: Clone + Send + Sync + 'static {
    type Request: Send + Sync + 'static;
    type Answer: Send + 'static;

    /// An answer each, in their order, without waiting long for what others hold. `None`: this one is to be asked for alone.
    fn together(
        &self,
        group: &[Self::Request],
    ) -> impl Future<Output = Result<Vec<Option<Self::Answer>>, DatabaseError>> + Send;

    /// The answer to one.
    fn alone(&self, request: &Self::Request) -> impl Future<Output = Result<Self::Answer, DatabaseError>> + Send;
}

/// Takes requests for one kind of call.
pub(crate) struct Grouped<C: Call> {
    group: Group<Asked<C>>,
}

struct Asked<C: Call> {
    request: C::Request,
    answer: oneshot::Sender<Result<C::Answer, DatabaseError>>,
}

impl<C: Call> Grouped<C> {
    /// Starts the task that calls, in a worker of `slots`; it ends with this value.
    pub(crate) fn start(name: &'static str, slots: u16, call: C) -> Self {
        Self { group: Group::start(name, bounds(slots), |_| 0, move |group| together(call.clone(), group)) }
    }

    /// Asks, perhaps together with others.
    ///
    /// # Errors
    /// As the call's.
    pub(crate) async fn ask(&self, request: C::Request) -> Result<C::Answer, DatabaseError> {
        let (answer, answered) = oneshot::channel();
        let gone = || DatabaseError::Row { operation: "ask in a group", reason: "this process ends".to_owned() };
        self.group.send(Asked { request, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

async fn together<C: Call>(call: C, group: Vec<Asked<C>>) {
    let (requests, mut callers): (Vec<_>, Vec<_>) =
        group.into_iter().map(|asked| (asked.request, asked.answer)).unzip();
    let answers = match call.together(&requests).await {
        Ok(answers) => answers,
        // Alone it would do the same again; only what waited for a lock may wait longer alone.
        Err(error) if requests.len() == 1 && !error.is_timeout() => {
            if let Some(caller) = callers.pop() {
                tell::<C>(caller, Err(error));
            }
            return;
        }
        Err(error) => {
            tracing::debug!(requests = requests.len(), "a group failed, asking one by one: {error}");
            requests.iter().map(|_| None).collect()
        }
    };
    for ((request, caller), answer) in requests.into_iter().zip(callers).zip(answers) {
        match answer {
            Some(answer) => tell::<C>(caller, Ok(answer)),
            None => {
                let call = call.clone();
                // On its own: it may have to wait, and the next group shall not wait with it.
                tasks::spawn("alone", async move { tell::<C>(caller, call.alone(&request).await) });
            }
        }
    }
}

/// Who has gone does not want to know any more.
fn tell<C: Call>(caller: oneshot::Sender<Result<C::Answer, DatabaseError>>, answer: Result<C::Answer, DatabaseError>) {
    let _gone = caller.send(answer);
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::Semaphore;

    use super::*;

    /// Doubles numbers. Odd ones are refused in groups, ones of a hundred and more spoil their call, one waits for ever alone.
    #[derive(Clone)]
    struct Doubling {
        calls: Arc<Mutex<Vec<Vec<u32>>>>,
        go: Arc<Semaphore>,
    }

    impl Call for Doubling {
        type Request = u32;
        type Answer = u32;

        async fn together(&self, group: &[u32]) -> Result<Vec<Option<u32>>, DatabaseError> {
            self.calls.lock().unwrap().push(group.to_vec());
            self.go.acquire().await.unwrap().forget();
            spoilt(group)?;
            Ok(group.iter().map(|number| (number % 2 == 0).then_some(number * 2)).collect())
        }

        async fn alone(&self, number: &u32) -> Result<u32, DatabaseError> {
            spoilt(&[*number])?;
            if *number == WAITING { std::future::pending().await } else { Ok(number * 2) }
        }
    }

    const WAITING: u32 = 99;

    fn spoilt(group: &[u32]) -> Result<(), DatabaseError> {
        let failed = || DatabaseError::Row { operation: "double", reason: format!("{group:?}") };
        if group.iter().any(|number| *number >= 100) { Err(failed()) } else { Ok(()) }
    }

    /// The answers to `numbers`, asked for while another one keeps the place, and the calls that were made for them.
    async fn ask(numbers: &[u32]) -> (Vec<Result<u32, DatabaseError>>, Vec<Vec<u32>>) {
        let doubling = Doubling { calls: Arc::default(), go: Arc::new(Semaphore::new(0)) };
        let grouped = Grouped::start("test", MANY_SLOTS, doubling.clone());
        let asked = async {
            let others = async {
                drydock_testing::until("the place is taken", Duration::from_secs(5), || async {
                    (doubling.calls.lock().unwrap().len() == 1).then_some(())
                })
                .await;
                let all = futures_util::future::join_all(numbers.iter().map(|number| grouped.ask(*number)));
                // Polled in their order, so all of them stand before the door when the place comes free.
                let free = async { doubling.go.add_permits(100) };
                futures_util::future::join(all, free).await.0
            };
            futures_util::future::join(grouped.ask(2), others).await.1
        };
        let answers = asked.await;
        let calls = doubling.calls.lock().unwrap()[1..].to_vec();
        (answers, calls)
    }

    #[tokio::test]
    async fn what_comes_together_is_asked_together() {
        let (answers, calls) = ask(&[6, 8, 10]).await;
        assert_eq!(answers.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [12, 16, 20]);
        assert_eq!(calls, [vec![6, 8, 10]]);
    }

    #[tokio::test]
    async fn what_a_group_does_not_answer_is_asked_for_alone() {
        let (answers, calls) = ask(&[6, 7, 8]).await;
        assert_eq!(answers.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [12, 14, 16]);
        assert_eq!(calls, [vec![6, 7, 8]]);
    }

    /// Red when what is asked for alone keeps the place of its group.
    #[tokio::test]
    async fn what_waits_alone_keeps_nobody_else_waiting() {
        let grouped = Grouped::start(
            "test",
            MANY_SLOTS,
            Doubling { calls: Arc::default(), go: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)) },
        );
        let waiting = grouped.ask(WAITING);
        let others = async {
            for number in [2, 3, 4] {
                assert_eq!(grouped.ask(number).await.unwrap(), 2 * number);
            }
        };
        tokio::select! {
            biased;
            answer = waiting => panic!("{answer:?}"),
            done = tokio::time::timeout(Duration::from_secs(5), others) => done.unwrap(),
        }
    }

    /// Red when a failed group is not asked for one by one.
    #[tokio::test]
    async fn what_spoils_a_group_spoils_only_itself() {
        let (answers, calls) = ask(&[6, 100, 8]).await;
        let told: Vec<_> = answers.into_iter().map(|answer| answer.map_err(|error| error.to_string())).collect();
        assert_eq!((&told[0], &told[2]), (&Ok(12), &Ok(16)));
        assert!(told[1].as_ref().unwrap_err().contains("[100]"), "{told:?}");
        assert_eq!(calls.len(), 1);
    }
}
