//! A broker that says no, says nothing, or is gone: noticed, told, and repaired by a fresh connection.

use std::time::Duration;

use drydock_domain::{JobId, Ticket};
use drydock_queue::{Broker, Publisher, QueueConfig, QueueError, QueueMetrics, topology};
use drydock_testing::{Proxy, broker, pool};
use lapin::{
    options::{QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::{AMQPValue, FieldTable, LongString},
};

use crate::{PATIENCE, next, publish, raw_channel};

const HEARTBEAT: Duration = Duration::from_secs(1);

/// A broker behind a proxy, with answers awaited for a second and a heartbeat of as long.
async fn behind_proxy() -> (Proxy, Broker) {
    let url = drydock_testing::setting("DRYDOCK_TEST_AMQP_URL");
    let (before, rest) = url.rsplit_once('@').unwrap();
    let (host, after) = rest.split_once('/').unwrap();
    let proxy = Proxy::start(host.to_owned()).await;
    let through = format!("{before}@{}/{after}", proxy.address()).into();
    let config = QueueConfig { amqp_timeout: HEARTBEAT, amqp_heartbeat: HEARTBEAT, ..QueueConfig::default() };
    let metrics = QueueMetrics::register(&prometheus::Registry::new()).unwrap();
    (proxy, Broker::new(&config, &through, metrics).unwrap())
}

async fn unready(publisher: &mut Publisher, patience: Duration) {
    let noticed = async {
        while publisher.ready().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(patience, noticed).await.expect("the loss is noticed");
}

fn tickets(pool: &str, count: i32) -> Vec<Ticket> {
    (1..=count).map(|seq| Ticket::new(JobId::generate(), seq, pool.to_owned(), 0)).collect()
}

#[tokio::test]
async fn t10_nacked_tickets_are_named_and_the_others_are_not() {
    let (broker, pool) = (broker(), pool());
    publish(&broker, &pool, 1).await;
    // A queue that is full nacks, whatever else the ticket was routed to.
    let (connection, channel) = raw_channel().await;
    let mut full = FieldTable::default();
    full.insert("x-max-length".into(), AMQPValue::LongInt(3));
    full.insert("x-overflow".into(), AMQPValue::LongString(LongString::from("reject-publish")));
    let own = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare("".into(), own, full).await.unwrap().name().clone();
    let (key, none) = (pool.as_str(), FieldTable::default());
    channel.queue_bind(queue, topology::DISPATCH.into(), key.into(), QueueBindOptions::default(), none).await.unwrap();
    let mut publisher = Publisher::new(broker);
    let batch = tickets(&pool, 5);
    let mut confirmed = Vec::new();
    // One at a time: a classic queue learns that it is full a moment late.
    for ticket in &batch {
        let published = publisher.publish(vec![ticket.clone()]).await;
        assert!(published.error.is_none(), "{:?}", published.error);
        confirmed.push(published.confirmed.len());
    }
    assert_eq!(confirmed, [1, 1, 1, 0, 0]);
    connection.close(200, "bye".into()).await.unwrap();
    assert_eq!(publisher.publish(batch).await.confirmed.len(), 5, "room again");
}

#[tokio::test]
async fn t11_a_confirm_that_never_arrives_leaves_the_ticket_in_doubt_and_a_fresh_connection_helps() {
    let (proxy, broker) = behind_proxy().await;
    let (pool, mut publisher) = (pool(), Publisher::new(broker));
    assert_eq!(publisher.publish(tickets(&pool, 1)).await.confirmed.len(), 1);
    proxy.stall();
    let batch = tickets(&pool, 2);
    let published = tokio::time::timeout(PATIENCE, publisher.publish(batch.clone())).await.expect("it does not hang");
    assert_eq!((published.confirmed.len(), &published.unconfirmed), (0, &batch));
    assert!(published.error.is_some());
    assert!(publisher.ready().await.is_err(), "the way is still stalled");
    proxy.heal();
    publisher.ready().await.unwrap();
    assert_eq!(publisher.publish(batch).await.confirmed.len(), 2);
}

#[tokio::test]
async fn ready_tells_whether_the_broker_is_there() {
    let (proxy, broker) = behind_proxy().await;
    let mut publisher = Publisher::new(broker);
    publisher.ready().await.unwrap();
    proxy.cut();
    unready(&mut publisher, PATIENCE).await;
    assert!(matches!(publisher.ready().await, Err(QueueError::Connect(_) | QueueError::Timeout { .. })));
    proxy.heal();
    publisher.ready().await.unwrap();
}

#[tokio::test]
async fn t16_a_consumer_the_broker_cancels_ends_and_the_next_has_another_tag() {
    let (broker, pool) = (broker(), pool());
    let mut first = broker.subscribe(&pool, 1).await.unwrap();
    let (_connection, channel) = raw_channel().await;
    channel.queue_delete(topology::pool_queue(&pool).as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    let ended = tokio::time::timeout(PATIENCE, first.next()).await.expect("it is told");
    assert!(matches!(ended, Ok(None)), "{ended:?}");
    let mut second = broker.subscribe(&pool, 1).await.unwrap();
    assert_ne!(first.tag(), second.tag());
    first.close().await;
    let sent = publish(&broker, &pool, 1).await;
    assert_eq!(next(&mut second).await.ticket, sent[0]);
}

#[tokio::test]
async fn t17_a_half_open_connection_is_noticed_within_two_heartbeats_and_a_bit() {
    let (proxy, broker) = behind_proxy().await;
    let mut subscription = broker.subscribe(&pool(), 1).await.unwrap();
    let (worker, mut publisher) = (drydock_domain::WorkerId::generate(), Publisher::new(broker.clone()));
    let mut hints = broker.hints(worker).await.unwrap();
    publisher.ready().await.unwrap();
    proxy.stall();
    // Noticed at the first look after two silent heartbeats; looks come every half one.
    let patience = HEARTBEAT * 3 + Duration::from_millis(500);
    let (ticket, hint, ()) = tokio::join!(
        tokio::time::timeout(patience, subscription.next()),
        tokio::time::timeout(patience, hints.next()),
        unready(&mut publisher, patience)
    );
    assert!(matches!(ticket, Ok(Err(_) | Ok(None))), "{ticket:?}");
    assert!(matches!(hint, Ok(Err(_) | Ok(None))), "{hint:?}");
}
