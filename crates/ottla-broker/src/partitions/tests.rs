use ottla_partition::metadata::controller::{
    AlterOp, AlterResource, Controller, CreateTopics, DeleteTopic, NewTopic,
};
use ottla_partition::partition::Acks;

use super::*;
use crate::options::{BrokerOptions, Storage};
use crate::running::RunningBroker;
use crate::start::start_blocking;

fn broker() -> RunningBroker {
    start_blocking(BrokerOptions::new(Storage::InMemory)).unwrap()
}

fn create(broker: &RunningBroker, name: &str) -> Arc<Topic> {
    let request = CreateTopics {
        topics: vec![NewTopic::new(name)],
        validate_only: false,
    };
    let entropy = broker.core.entropy();
    let metadata = broker.core.metadata();
    let change = metadata.change(move |c| c.create_topics(&request, &*entropy));
    let created = broker.core.runtime().block_on(change).unwrap().unwrap();
    assert!(created.iter().all(|t| t.result.is_ok()), "{created:?}");
    Arc::clone(metadata.image().topic(name).unwrap())
}

fn delete(broker: &RunningBroker, name: &'static str) {
    let change = broker
        .core
        .metadata()
        .change(move |c| c.delete_topics(&[DeleteTopic::by_name(name)]));
    let deleted = broker.core.runtime().block_on(change).unwrap().unwrap();
    assert!(deleted.iter().all(|t| t.result.is_ok()), "{deleted:?}");
}

/// What an opener of the first partition of `topic` knows before it opens the log.
fn wanted(broker: &RunningBroker, topic: &Topic) -> Wanted {
    let id = LogId::new(topic.name.clone(), 0);
    let wanted = broker.core.partitions().wanted(&id, topic.id);
    wanted.expect("the topic is there")
}

/// Opens the partition of a new topic of the same name, and appends to it.
fn assert_usable_again(broker: &RunningBroker, name: &str) {
    let again = create(broker, name);
    let partitions = broker.core.partitions();
    let partition = partitions.open_now(&wanted(broker, &again)).unwrap();
    assert_eq!(partition.topic_id(), again.id);
    let record = ottla_log::Record::new("value");
    partition
        .log()
        .append(&[record], ottla_log::AppendOptions::default())
        .unwrap();
}

#[test]
fn a_topic_deleted_before_its_log_is_opened_stays_deleted() {
    let broker = broker();
    let partitions = broker.core.partitions();
    let topic = create(&broker, "t");
    let wanted = wanted(&broker, &topic);

    delete(&broker, "t");
    let opened = partitions.open_now(&wanted);
    assert!(
        matches!(opened, Err(OpenPartitionError::Deleted { .. })),
        "{opened:?}"
    );
    assert!(partitions.get(topic.id, 0).is_none());
    assert_usable_again(&broker, "t");
}

#[test]
fn a_topic_deleted_after_its_log_is_opened_stays_deleted() {
    let broker = broker();
    let partitions = broker.core.partitions();
    let topic = create(&broker, "t");
    let wanted = wanted(&broker, &topic);
    let log = partitions
        .store
        .log(wanted.id.clone(), wanted.options.clone())
        .unwrap();

    delete(&broker, "t");
    let again = create(&broker, "t");
    let new = partitions.open_now(&self::wanted(&broker, &again)).unwrap();
    let opened = partitions.enter(&wanted, log);
    assert!(
        matches!(opened, Err(OpenPartitionError::Deleted { .. })),
        "{opened:?}"
    );
    assert!(partitions.get(topic.id, 0).is_none());
    let record = ottla_log::Record::new("value");
    let appended = new
        .log()
        .append(&[record], ottla_log::AppendOptions::default());
    assert!(
        appended.is_ok(),
        "the new topic's log is not touched: {appended:?}"
    );
}

#[test]
fn what_changed_while_a_log_was_opened_counts() {
    let broker = broker();
    let partitions = broker.core.partitions();
    let topic = create(&broker, "t");
    let wanted = wanted(&broker, &topic);

    let set = AlterResource {
        kind: 2,
        name: "t".to_owned(),
        ops: vec![AlterOp {
            name: "message.timestamp.type".to_owned(),
            op: 0,
            value: Some("LogAppendTime".to_owned()),
        }],
        denied: None,
    };
    let change = move |c: Controller<'_>| c.incremental_alter_configs(&[set], false);
    let change = broker.core.metadata().change(change);
    broker.core.runtime().block_on(change).unwrap().unwrap();
    let partition = partitions.open_now(&wanted).unwrap();
    let bytes = ottla_log::build_batch(&[ottla_log::Record::new("v")], &Default::default());
    let limits = ottla_log::Limits::default();
    let batches = ottla_log::ValidBatches::parse(bytes.unwrap(), &limits).unwrap();
    let appended = partition
        .append(ottla_log::Origin::Client, batches, Acks::All)
        .unwrap();
    assert!(appended.log_append_time.is_some(), "{appended:?}");
}

#[test]
fn appends_without_room_wait_and_hold_no_worker() {
    let broker = broker();
    let topic = create(&broker, "t");
    let core = &broker.core;
    let partition = core
        .partitions()
        .open_now(&wanted(&broker, &topic))
        .unwrap();
    // More than the budget: it is let through alone, and leaves nothing to others.
    let all = partition.log().room(1 << 40).unwrap();
    // As many as there may be workers, and more.
    let append = |_| {
        let topic = broker.topic("t").unwrap();
        core.runtime().spawn(async move {
            let record = ottla_log::Record::new("value");
            let options = ottla_log::AppendOptions::default();
            topic.append(0, &[record], options).await.unwrap()
        })
    };
    let appends: Vec<_> = (0..20).map(append).collect();
    // Comes after them, and would wait for ever for a worker.
    let ask = core.runtime().spawn(async { 1 });
    assert_eq!(core.runtime().block_on(ask).unwrap().unwrap(), 1);
    drop(all);
    let mut offsets = Vec::new();
    for append in appends {
        let appended = core.runtime().block_on(append).unwrap().unwrap();
        offsets.push(appended.base_offset.get());
    }
    offsets.sort_unstable();
    assert_eq!(offsets, (0..20).collect::<Vec<_>>());
}
