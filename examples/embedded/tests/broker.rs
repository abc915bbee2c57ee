//! A real broker in a test, used without a socket.

use ottla::{AppendOptions, Broker, Isolation, NewTopic, Offset, Record};

#[test]
fn what_is_written_can_be_read() {
    let broker = Broker::builder().in_memory().start_blocking().unwrap();
    let orders = broker.create_topic_blocking(NewTopic::new("orders").partitions(2)).unwrap();
    let records = [Record::new("created").with_key("o-1"), Record::new("paid").with_key("o-1")];
    let appended = orders.append_blocking(1, &records, AppendOptions::default()).unwrap();
    assert_eq!(appended.base_offset.get(), 0);
    let read = orders.read_blocking(1, Offset::ZERO, Isolation::ReadCommitted).unwrap();
    let values: Vec<_> = read.into_iter().map(|record| record.unwrap().value.unwrap()).collect();
    assert_eq!(values, ["created", "paid"]);
    assert!(broker.shutdown_blocking().clean);
}

#[test]
fn many_brokers_live_side_by_side() {
    let start = |_| Broker::builder().in_memory().start_blocking().unwrap();
    let brokers: Vec<Broker> = (0..20).map(start).collect();
    let mut servers: Vec<&str> = brokers.iter().map(Broker::bootstrap_servers).collect();
    servers.sort_unstable();
    servers.dedup();
    assert_eq!(servers.len(), 20);
}
