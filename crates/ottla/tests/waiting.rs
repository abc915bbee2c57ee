//! Waiting for what a program under test writes, without sleeping.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::thread;
use std::time::Duration;

use ottla::{
    AppendOptions, Broker, FollowedRecord, Isolation, NewTopic, Offset, Record, Topic, WaitError,
};

/// Long enough for any machine: only a test that fails takes it.
const LONG: Duration = Duration::from_secs(60);

fn topic(broker: &Broker, partitions: i32) -> Topic {
    let topic = NewTopic::new("orders").partitions(partitions);
    broker.create_topic_blocking(topic).unwrap()
}

fn append(topic: &Topic, partition: i32, value: &'static str) {
    let appended =
        topic.append_blocking(partition, &[Record::new(value)], AppendOptions::default());
    appended.unwrap();
}

fn place_and_value(found: &FollowedRecord) -> (i32, i64, String) {
    let value = found.record.value.as_deref().unwrap_or_default();
    let text = String::from_utf8(value.to_vec()).unwrap();
    (found.partition, found.record.offset.get(), text)
}

fn is(value: &'static str) -> impl FnMut(&FollowedRecord) -> bool {
    move |found| found.record.value.as_deref() == Some(value.as_bytes())
}

#[test]
fn a_record_is_found_whether_it_is_there_or_comes() {
    let broker = Broker::builder().in_memory().start_blocking().unwrap();
    let orders = topic(&broker, 3);
    append(&orders, 2, "created");
    append(&orders, 2, "paid");
    let found = orders.wait_for_blocking(LONG, is("paid")).unwrap();
    assert_eq!(place_and_value(&found), (2, 1, "paid".to_owned()));

    let waiting = {
        let orders = orders.clone();
        thread::spawn(move || orders.wait_for_blocking(LONG, is("shipped")))
    };
    // Whether it waits by now or looks later: the records wake it, or are there.
    append(&orders, 0, "packed");
    append(&orders, 1, "shipped");
    let found = waiting.join().unwrap().unwrap();
    assert_eq!(place_and_value(&found), (1, 0, "shipped".to_owned()));
}

#[test]
fn a_follower_goes_on_where_it_was() {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let broker = Broker::builder().in_memory().start().await.unwrap();
        let orders = topic(&broker, 1);
        let mut follower = orders.follow(Isolation::ReadCommitted);
        append(&orders, 0, "a");
        append(&orders, 0, "b");
        assert_eq!(
            follower.next(LONG).await.unwrap().record.offset,
            Offset::ZERO
        );
        let late = follower.take(2, Duration::ZERO).await.unwrap_err();
        assert!(matches!(late, WaitError::Elapsed { .. }), "{late}");
        assert_eq!(
            late.to_string(),
            "waited 0ns in vain for a record of the topic \"orders\"; 2 were seen"
        );
        append(&orders, 0, "c");
        let rest = follower.take(2, LONG).await.unwrap();
        let rest: Vec<_> = rest.iter().map(|found| place_and_value(found).2).collect();
        assert_eq!(rest, ["b", "c"]);
        let none = follower.find(Duration::ZERO, is("a")).await;
        assert!(matches!(none, Err(WaitError::Elapsed { seen: 3, .. })));
    });
}

#[test]
fn a_follower_of_a_broker_that_ends_hears_of_it() {
    let broker = Broker::builder().in_memory().start_blocking().unwrap();
    let orders = topic(&broker, 2);
    let waiting = thread::spawn(move || orders.wait_for_blocking(LONG, |_| true));
    assert!(broker.shutdown_blocking().clean);
    let ended = waiting.join().unwrap().unwrap_err();
    assert_eq!(ended.to_string(), "the broker has stopped");
}
