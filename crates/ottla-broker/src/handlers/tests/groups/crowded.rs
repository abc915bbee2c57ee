//! Groups and metadata while nothing more may be written before something is on the disk.

use std::time::Duration;

use super::*;

/// More than there are workers.
const WAITING: usize = 24;

#[test]
fn who_waits_for_the_disk_keeps_no_worker() {
    let alone = Alone::start();
    let members: Vec<_> = (0..WAITING)
        .map(|number| alone.member(&format!("g{number}")))
        .collect();
    let runtime = alone.broker.core.runtime();
    let (core, topic) = (Arc::clone(&alone.broker.core), alone.image());
    let room = runtime.block_on(async move {
        let topic = topic.topic(TOPIC).expect("it was created");
        let partition = core.open_partition(topic, 0).await;
        // As if all that may be waited for a sync was written.
        let log = partition.expect("it opens").log().clone();
        let all = core.runtime().spawn_blocking(move || log.room(1 << 40));
        all.await
            .expect("it does not panic")
            .expect("the store is open")
    });
    let created = m::CreateTopicsRequest {
        topics: [m::CreatableTopic {
            name: text("another"),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        }]
        .into(),
        ..Default::default()
    };
    let mut waiting = vec![runtime.spawn(alone.begin(7, created))];
    for member in &members {
        let commit = alone.begin(9, member.commit(&[(0, 1)]));
        waiting.push(runtime.spawn(commit));
    }
    // Somebody else's turn comes all the same, again and again.
    let (done, others) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        for _ in 0..10_000 {
            tokio::task::yield_now().await;
        }
        let _ = done.send(());
    });
    let patience = Duration::from_secs(60);
    assert!(others.recv_timeout(patience).is_ok(), "all workers wait");
    drop(room);
    let answers = runtime.block_on(async move {
        let mut answers = Vec::new();
        for answer in waiting {
            answers.push(answer.await.expect("a handler does not panic"));
        }
        answers
    });
    let mut answers = answers.expect("it does not panic").into_iter();
    let created = response!(answers.next().expect("it is the first"), CreateTopics);
    assert_eq!(created.topics[0].error_code, 0);
    for answer in answers {
        let told = response!(answer, OffsetCommit);
        assert_eq!(told.topics[0].partitions[0].error_code, 0);
    }
}
