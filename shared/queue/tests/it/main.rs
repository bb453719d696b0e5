//! The queue crate against a real RabbitMQ.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, helper functions included")]

mod hints;
mod outages;

use std::time::Duration;

use drydock_domain::{JobId, Ticket};
use drydock_queue::{Broker, Delivery, Publisher, topology};
use drydock_testing::{broker, pool};
use lapin::{
    Connection, ConnectionProperties,
    options::{BasicPublishOptions, QueueDeleteOptions},
};

const PATIENCE: Duration = Duration::from_secs(20);

async fn next(subscription: &mut drydock_queue::Subscription) -> Delivery {
    tokio::time::timeout(PATIENCE, subscription.next())
        .await
        .expect("a ticket in time")
        .unwrap()
        .expect("a live consumer")
}

async fn publish(broker: &Broker, pool: &str, count: i32) -> Vec<Ticket> {
    let tickets: Vec<Ticket> = (1..=count).map(|seq| Ticket::new(JobId::generate(), seq, pool.to_owned(), 3)).collect();
    let mut publisher = Publisher::new(broker.clone());
    let published = publisher.publish(tickets.clone()).await;
    assert_eq!((published.confirmed.len(), published.unconfirmed.len()), (tickets.len(), 0), "{:?}", published.error);
    publisher.disconnect().await;
    tickets
}

async fn raw_channel() -> (Connection, lapin::Channel) {
    let url = drydock_testing::setting("DRYDOCK_TEST_AMQP_URL");
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

#[tokio::test]
async fn tickets_arrive_once_in_order_and_one_at_a_time() {
    let (broker, pool) = (broker(), pool());
    let sent = publish(&broker, &pool, 3).await;
    let mut subscription = broker.subscribe(&pool, 1).await.unwrap();
    for ticket in sent {
        let delivery = next(&mut subscription).await;
        assert_eq!(delivery.ticket, ticket);
        // Prefetch 1: an unacknowledged ticket is the brake.
        let more = tokio::time::timeout(Duration::from_millis(200), subscription.next()).await;
        assert!(more.is_err(), "{more:?}");
        delivery.ack().await.unwrap();
    }
    subscription.close().await;
}

#[tokio::test]
async fn an_unacknowledged_ticket_goes_to_the_next_consumer() {
    let (broker, pool) = (broker(), pool());
    let sent = publish(&broker, &pool, 1).await;
    let mut first = broker.subscribe(&pool, 1).await.unwrap();
    let held = next(&mut first).await;
    first.close().await;
    assert!(held.ack().await.is_err(), "its channel is gone");
    let mut second = broker.subscribe(&pool, 1).await.unwrap();
    assert_eq!(next(&mut second).await.ticket, sent[0]);
}

#[tokio::test]
async fn a_cancelled_subscription_takes_tickets_again_over_its_connection() {
    let (broker, pool) = (broker(), pool());
    let sent = publish(&broker, &pool, 3).await;
    let mut subscription = broker.subscribe(&pool, 2).await.unwrap();
    let (tag, held) = (subscription.tag(), next(&mut subscription).await);
    let arrived = subscription.cancel().await;
    assert_eq!(arrived.iter().map(|delivery| &delivery.ticket).collect::<Vec<_>>(), [&sent[1]], "the prefetch is 2");
    for delivery in arrived {
        delivery.ack().await.unwrap();
    }
    // What a cancelled consumer would have taken is for others.
    let mut other = broker.subscribe(&pool, 1).await.unwrap();
    next(&mut other).await.ack().await.unwrap();
    other.close().await;
    let more = publish(&broker, &pool, 1).await;
    subscription.resume(1).await.unwrap();
    assert_ne!(subscription.tag(), tag);
    // Of the same channel: the old one is not settled, and can be.
    held.ack().await.unwrap();
    let delivery = next(&mut subscription).await;
    assert_eq!(delivery.ticket, more[0]);
    delivery.ack().await.unwrap();
    subscription.close().await;
}

#[tokio::test]
async fn t15_tickets_for_a_deleted_queue_are_named_and_the_next_try_makes_it_again() {
    let (broker, pool) = (broker(), pool());
    let mut publisher = Publisher::new(broker.clone());
    let ticket = |seq| Ticket::new(JobId::generate(), seq, pool.clone(), 0);
    assert_eq!(publisher.publish(vec![ticket(1)]).await.confirmed.len(), 1);
    let (_connection, channel) = raw_channel().await;
    channel.queue_delete(topology::pool_queue(&pool).as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    let batch: Vec<Ticket> = (2..12).map(ticket).collect();
    let published = publisher.publish(batch.clone()).await;
    assert_eq!(
        (published.confirmed.len(), &published.unconfirmed),
        (0, &batch),
        "returned tickets are not taken for routed ones"
    );
    let again = publisher.publish(published.unconfirmed).await;
    assert_eq!(again.confirmed.len(), 10);
}

#[tokio::test]
async fn t09_returns_are_matched_by_message_id() {
    let (broker, good, gone) = (broker(), pool(), pool());
    let mut publisher = Publisher::new(broker.clone());
    let ticket = |pool: &str, seq| Ticket::new(JobId::generate(), seq, pool.to_owned(), 0);
    publisher.publish(vec![ticket(&good, 1), ticket(&gone, 1)]).await;
    let (_connection, channel) = raw_channel().await;
    channel.queue_delete(topology::pool_queue(&gone).as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    let batch: Vec<Ticket> = (0..200).map(|seq| ticket(if seq % 20 == 7 { &gone } else { &good }, seq)).collect();
    let expected: Vec<Ticket> = batch.iter().filter(|ticket| ticket.pool == gone).cloned().collect();
    let published = publisher.publish(batch).await;
    assert_eq!((published.confirmed.len(), published.unconfirmed), (190, expected));
}

#[tokio::test]
async fn t20_garbage_is_dropped_and_the_consumer_lives() {
    let (broker, pool) = (broker(), pool());
    let mut subscription = broker.subscribe(&pool, 1).await.unwrap();
    let (_connection, channel) = raw_channel().await;
    for body in [
        &b"\xff\xfe"[..],
        b"{}",
        br#"{"v":99,"job":"00000000-0000-0000-0000-000000000001","seq":1,"pool":"p","priority":0}"#,
    ] {
        raw_publish(&channel, &pool, body).await;
    }
    let sent = publish(&broker, &pool, 1).await;
    assert_eq!(next(&mut subscription).await.ticket, sent[0]);
}

#[expect(clippy::disallowed_methods, reason = "the publisher cannot send garbage")]
async fn raw_publish(channel: &lapin::Channel, pool: &str, body: &[u8]) {
    let options = BasicPublishOptions::default();
    channel
        .basic_publish(topology::DISPATCH.into(), pool.into(), options, body, lapin::BasicProperties::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_named_with_its_setting() {
    let registry = prometheus::Registry::new();
    let config = drydock_queue::QueueConfig {
        amqp_start_timeout: Duration::from_millis(200),
        ..drydock_queue::QueueConfig::default()
    };
    let metrics = drydock_queue::QueueMetrics::register(&registry).unwrap();
    let broker = Broker::new(&config, &"amqp://user:hunter2@127.0.0.1:1/%2f".to_owned().into(), metrics).unwrap();
    let error = drydock_runtime::exit::chain(&broker.wait().await.unwrap_err());
    assert!(error.contains("DRYDOCK_AMQP_URL") && !error.contains("hunter2"), "{error}");
    assert!(!format!("{broker:?}").contains("hunter2"));
}
