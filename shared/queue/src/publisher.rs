//! Publishing tickets: confirmed, `mandatory`, pipelined in batches. lapin hands returned messages to whichever confirm
//! resolves next, so returns are matched by message id over the whole batch, never by the confirm that carried them.

use std::collections::HashSet;

use drydock_domain::{Ahead, Dispatch, Ticket, WorkerId};
use futures_util::future::join_all;
use lapin::{BasicProperties, Confirmation, options::BasicPublishOptions, options::ConfirmSelectOptions};

use crate::{Broker, QueueError, connection::Link, topology};

/// AMQP delivery mode "persistent".
const PERSISTENT: u8 = 2;

/// What became of a batch.
#[derive(Debug, Default)]
pub struct Published {
    /// Confirmed and routed.
    pub confirmed: Vec<Ticket>,
    /// Offered to a worker that is not there: to be sent to the pool.
    pub absent: Vec<Ticket>,
    /// Not known to be in a queue: to be sent again under a new seq.
    pub unconfirmed: Vec<Ticket>,
    /// Why, where the whole batch was hit.
    pub error: Option<QueueError>,
}

/// Who is told what: AMQP type and body.
type Told = (WorkerId, &'static str, Vec<u8>);

/// Publishes tickets over a connection of its own, rebuilt after any error.
pub struct Publisher {
    broker: Broker,
    link: Option<Link>,
    declared: HashSet<String>,
    connected_before: bool,
}

impl Publisher {
    /// A publisher; connects when first used.
    pub fn new(broker: Broker) -> Self {
        Self { broker, link: None, declared: HashSet::new(), connected_before: false }
    }

    /// Publishes tickets, each to its pool or to the worker it is offered to, and waits for every confirm. Never fails as a
    /// whole without saying which tickets are in doubt.
    pub async fn publish<T: Into<Dispatch>>(&mut self, tickets: Vec<T>) -> Published {
        let timer = self.broker.metrics.confirm_seconds.start_timer();
        let dispatches: Vec<Dispatch> = tickets.into_iter().map(Into::into).collect();
        let published = match self.attempt(&dispatches).await {
            Ok(refused) => refused.split(dispatches),
            Err(error) => {
                let unconfirmed = dispatches.into_iter().map(|dispatch| dispatch.ticket).collect();
                Published { unconfirmed, error: Some(error), ..Published::default() }
            }
        };
        timer.observe_duration();
        if !published.unconfirmed.is_empty() {
            // Whatever is wrong, a fresh connection and fresh declarations are the remedy.
            self.disconnect().await;
        }
        let metrics = &self.broker.metrics;
        metrics.published.inc_by(published.confirmed.len() as u64);
        metrics.unconfirmed.inc_by(published.unconfirmed.len() as u64);
        published
    }

    /// Whether a publish has a chance: the connection stands (it is made where needed) and the broker takes messages. It is sent two that
    /// go nowhere: a broker with an alarm says nothing of it to a connection that has not published yet, and still takes its first.
    ///
    /// # Errors
    /// It cannot be made, or the broker takes none.
    pub async fn ready(&mut self) -> Result<(), QueueError> {
        if self.link.as_ref().is_some_and(|link| !link.is_up()) {
            self.disconnect().await;
        }
        for _ in 0..2 {
            if self.connected().await?.is_blocked() {
                return Err(QueueError::Blocked);
            }
            let nobody = (WorkerId::generate(), topology::RENEW, Vec::new());
            if let Err(error) = self.try_tell(&[nobody]).await {
                if !self.link.as_ref().is_some_and(Link::is_blocked) {
                    self.disconnect().await;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Tells these workers that a renewal would bring them news. Best effort: a worker that is not there is not missed.
    ///
    /// # Errors
    /// The broker cannot be reached or does not answer; the news then waits for the next renewal.
    pub async fn hint(&mut self, workers: &[WorkerId]) -> Result<(), QueueError> {
        let hints: Vec<_> = workers.iter().map(|worker| (*worker, topology::RENEW, Vec::new())).collect();
        self.tell(&hints).await
    }

    /// Tells workers which versions to fetch before jobs need them. Best effort as well.
    ///
    /// # Errors
    /// The broker cannot be reached or does not answer; the jobs then fetch for themselves.
    pub async fn fetch_ahead(&mut self, versions: &[Ahead]) -> Result<(), QueueError> {
        let hints: Vec<_> = versions.iter().map(|ahead| (ahead.worker, topology::AHEAD, ahead.encode())).collect();
        self.tell(&hints).await
    }

    async fn tell(&mut self, hints: &[Told]) -> Result<(), QueueError> {
        let hinted = self.try_tell(hints).await;
        match &hinted {
            Ok(()) => self.broker.metrics.hints_sent.inc_by(hints.len() as u64),
            Err(_) => self.disconnect().await,
        }
        hinted
    }

    async fn try_tell(&mut self, hints: &[Told]) -> Result<(), QueueError> {
        let (broker, channel) = (self.broker.clone(), self.connected().await?.channel.clone());
        let mut confirms = Vec::with_capacity(hints.len());
        for hint in hints {
            confirms.push(broker.within("publish a hint", send_hint(&channel, hint)).await?);
        }
        let confirmed = broker.within("confirm hints", async { Ok(join_all(confirms).await) }).await?;
        for confirmation in confirmed {
            confirmation.map_err(|source| QueueError::Operation { operation: "confirm a hint", source })?;
        }
        Ok(())
    }

    /// Closes the connection.
    pub async fn disconnect(&mut self) {
        self.declared.clear();
        if let Some(link) = self.link.take() {
            link.close().await;
        }
    }

    async fn attempt(&mut self, dispatches: &[Dispatch]) -> Result<Refused, QueueError> {
        let to_pools = dispatches.iter().filter(|dispatch| dispatch.near.is_none());
        for pool in to_pools.map(|dispatch| &dispatch.ticket.pool).collect::<HashSet<_>>() {
            self.prepare(pool).await?;
        }
        let (broker, channel) = (self.broker.clone(), self.connected().await?.channel.clone());
        let mut confirms = Vec::with_capacity(dispatches.len());
        for dispatch in dispatches {
            confirms.push(broker.within("publish a ticket", send(&channel, dispatch)).await?);
        }
        let confirmations = self.broker.within("confirm tickets", async { Ok(join_all(confirms).await) }).await?;
        let mut refused = Refused::default();
        for (dispatch, confirmation) in dispatches.iter().zip(confirmations) {
            let confirmation =
                confirmation.map_err(|source| QueueError::Operation { operation: "confirm a ticket", source })?;
            if !confirmation.is_ack() {
                refused.nacked.insert(dispatch.ticket.message_id());
            }
            if let Some(returned) = returned_id(confirmation) {
                refused.returned.insert(returned);
            }
        }
        let unrouted =
            dispatches.iter().filter(|dispatch| dispatch.near.is_none() && refused.returns(dispatch)).count();
        self.broker.metrics.returned.inc_by(unrouted as u64);
        Ok(refused)
    }

    /// The connection, made where there is none.
    async fn connected(&mut self) -> Result<&Link, QueueError> {
        let link = match self.link.take() {
            Some(link) => link,
            None => self.connect().await?,
        };
        Ok(self.link.insert(link))
    }

    async fn connect(&mut self) -> Result<Link, QueueError> {
        let link = self.broker.open("publish").await?;
        self.broker.within("ask for confirms", link.channel.confirm_select(ConfirmSelectOptions::default())).await?;
        self.broker.declaring(topology::declare_control(&link.channel)).await?;
        if std::mem::replace(&mut self.connected_before, true) {
            self.broker.metrics.reconnects.inc();
        }
        Ok(link)
    }

    async fn prepare(&mut self, pool: &str) -> Result<(), QueueError> {
        let broker = self.broker.clone();
        let channel = self.connected().await?.channel.clone();
        if !self.declared.contains(pool) {
            broker.declaring(topology::declare(&channel, pool)).await?;
            self.declared.insert(pool.to_owned());
        }
        Ok(())
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that publishes")]
async fn send(channel: &lapin::Channel, dispatch: &Dispatch) -> lapin::Result<lapin::PublisherConfirm> {
    let Dispatch { ticket, near } = dispatch;
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let properties = BasicProperties::default()
        .with_type(if near.is_some() { topology::OFFER } else { topology::TICKET }.into())
        .with_delivery_mode(PERSISTENT)
        .with_priority(ticket.priority)
        .with_content_type("application/json".into())
        .with_message_id(ticket.message_id().into());
    let body = ticket.encode();
    let (exchange, key) = match near {
        Some(worker) => (topology::CONTROL, topology::worker_key(*worker)),
        None => (topology::DISPATCH, ticket.pool.clone()),
    };
    channel.basic_publish(exchange.into(), key.as_str().into(), options, &body, properties).await
}

/// Transient and not mandatory: a worker that is not there has nothing to hear.
#[expect(clippy::disallowed_methods, reason = "hints are published here alone")]
async fn send_hint(channel: &lapin::Channel, hint: &Told) -> lapin::Result<lapin::PublisherConfirm> {
    let (worker, kind, body) = hint;
    let (key, options) = (topology::worker_key(*worker), BasicPublishOptions::default());
    let properties = BasicProperties::default().with_type((*kind).into());
    channel.basic_publish(topology::CONTROL.into(), key.as_str().into(), options, body, properties).await
}

fn returned_id(confirmation: Confirmation) -> Option<String> {
    let returned = confirmation.take_message()?;
    returned.delivery.properties.message_id().as_ref().map(ToString::to_string)
}

/// Message ids of what the broker did not take.
#[derive(Default)]
struct Refused {
    nacked: HashSet<String>,
    returned: HashSet<String>,
}

impl Refused {
    fn returns(&self, dispatch: &Dispatch) -> bool {
        self.returned.contains(&dispatch.ticket.message_id())
    }

    fn split(&self, dispatches: Vec<Dispatch>) -> Published {
        let mut published = Published::default();
        for dispatch in dispatches {
            let list = match (self.returns(&dispatch), self.nacked.contains(&dispatch.ticket.message_id())) {
                (true, false) if dispatch.near.is_some() => &mut published.absent,
                (false, false) => &mut published.confirmed,
                _ => &mut published.unconfirmed,
            };
            list.push(dispatch.ticket);
        }
        published
    }
}
