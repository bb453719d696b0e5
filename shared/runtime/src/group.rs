//! Group commit: requests that arrive while others are being written go together in one call. Nobody waits when nothing is under
//! way and nothing crowds. ("Implementation Techniques for Main Memory Database Systems", SIGMOD 1984, describes it first.)
//!
//! Owns who goes with whom. What a call does with its group, and how each one of it is answered, is the caller's.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::sync::{Semaphore, mpsc};

use crate::tasks;

/// How big groups may get.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Requests in one call.
    pub most: usize,
    /// Weight of one call, unless a single request has more.
    pub heaviest: usize,
    /// Calls at the same time: one fills while another waits.
    pub at_once: usize,
    /// Requests that may stand before the door; later ones wait to get there.
    pub queue: usize,
    /// After a group of `crowd` and more, how long to let more come: where there are many, a call costs more than the wait.
    pub rest: Duration,
    /// See `rest`.
    pub crowd: usize,
}

/// Takes requests; its task ends with it.
#[derive(Debug)]
pub struct Group<T> {
    door: mpsc::Sender<T>,
}

/// Nobody takes requests any more: the runtime is going down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody takes requests any more")]
pub struct Closed;

impl<T: Send + 'static> Group<T> {
    /// Starts the task that hands groups to `write`, each at most `bounds` by number and by `weigh`.
    pub fn start<F, Fut>(name: &'static str, bounds: Bounds, weigh: fn(&T) -> usize, write: F) -> Self
    where
        F: Fn(Vec<T>) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let (door, receiver) = mpsc::channel(bounds.queue);
        tasks::spawn(name, collect(name, receiver, bounds, weigh, write));
        Self { door }
    }

    /// Hands a request over; waits while too many stand before the door.
    ///
    /// # Errors
    /// The runtime is going down.
    pub async fn send(&self, request: T) -> Result<(), Closed> {
        self.door.send(request).await.map_err(|_| Closed)
    }
}

async fn collect<T, F, Fut>(
    name: &'static str,
    mut receiver: mpsc::Receiver<T>,
    bounds: Bounds,
    weigh: fn(&T) -> usize,
    write: F,
) where
    F: Fn(Vec<T>) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(bounds.at_once));
    let mut crowded = false;
    while let Some(first) = receiver.recv().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        if crowded && !bounds.rest.is_zero() {
            tokio::time::sleep(bounds.rest).await;
        }
        let mut weight = weigh(&first);
        let mut group = vec![first];
        // Whatever came while there was no place.
        while group.len() < bounds.most && weight < bounds.heaviest {
            let Ok(next) = receiver.try_recv() else { break };
            weight += weigh(&next);
            group.push(next);
        }
        crowded = group.len() >= bounds.crowd;
        let writing = write(group);
        tasks::spawn(name, async move {
            writing.await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::Notify;

    use super::*;

    const BOUNDS: Bounds = Bounds { most: 9, heaviest: 100, at_once: 1, queue: 9, rest: Duration::ZERO, crowd: 1 };

    type Seen = Arc<Mutex<Vec<Vec<usize>>>>;

    /// A group whose calls wait for `go`, and what each was given.
    fn group(bounds: Bounds, go: &Arc<Notify>) -> (Group<usize>, Seen) {
        let seen = Seen::default();
        let (notes, go) = (seen.clone(), go.clone());
        let write = move |group: Vec<usize>| {
            notes.lock().unwrap().push(group);
            let go = go.clone();
            async move { go.notified().await }
        };
        (Group::start("test", bounds, |request| *request, write), seen)
    }

    async fn settled(seen: &Seen, calls: usize) -> Vec<Vec<usize>> {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        let seen = seen.lock().unwrap().clone();
        assert_eq!(seen.len(), calls, "{seen:?}");
        seen
    }

    /// Red when the group is gathered before there is a place, and when places are not waited for.
    #[tokio::test]
    async fn what_comes_while_calls_are_under_way_goes_together() {
        let (bounds, go) = (Bounds { most: 3, at_once: 2, ..BOUNDS }, Arc::new(Notify::new()));
        let (group, seen) = group(bounds, &go);
        group.send(1).await.unwrap();
        settled(&seen, 1).await;
        group.send(2).await.unwrap();
        settled(&seen, 2).await;
        for request in 3..=7 {
            group.send(request).await.unwrap();
        }
        settled(&seen, 2).await;
        go.notify_one();
        assert_eq!(settled(&seen, 3).await, [vec![1], vec![2], vec![3, 4, 5]]);
        go.notify_one();
        assert_eq!(settled(&seen, 4).await[3], [6, 7]);
    }

    /// Red when nobody rests, and when a single request does.
    #[tokio::test(start_paused = true)]
    async fn after_a_group_of_several_more_may_come() {
        let rest = Duration::from_millis(3);
        let (bounds, go) = (Bounds { rest, crowd: 2, ..BOUNDS }, Arc::new(Notify::new()));
        let (group, seen) = group(bounds, &go);
        for request in [1, 2, 3] {
            group.send(request).await.unwrap();
            settled(&seen, 1).await;
        }
        go.notify_one();
        settled(&seen, 2).await;
        group.send(4).await.unwrap();
        go.notify_one();
        settled(&seen, 2).await;
        group.send(5).await.unwrap();
        tokio::time::advance(rest).await;
        assert_eq!(settled(&seen, 3).await, [vec![1], vec![2, 3], vec![4, 5]]);
    }

    #[tokio::test]
    async fn a_heavy_request_closes_its_group() {
        let (bounds, go) = (Bounds { heaviest: 10, ..BOUNDS }, Arc::new(Notify::new()));
        let (group, seen) = group(bounds, &go);
        for request in [1, 4, 7, 2, 50, 3] {
            group.send(request).await.unwrap();
            settled(&seen, 1).await;
        }
        for calls in 2..=3 {
            go.notify_one();
            settled(&seen, calls).await;
        }
        go.notify_one();
        assert_eq!(settled(&seen, 4).await, [vec![1], vec![4, 7], vec![2, 50], vec![3]]);
    }
}
