use super::*;

#[test]
fn a_lone_node_that_stopped_in_order_keeps_its_leader_epochs() {
    let mut cluster = Cluster::of(&[1]);
    cluster.create_on("t", &[1]);
    let before = cluster.image.end();
    let epoch = cluster.run(|c, _| c.start_alone(&registration(1, 1), true));
    assert_eq!(epoch.get(), before.get());
    assert_eq!(cluster.epoch(1), epoch);
    assert_eq!(cluster.image.end(), before.plus(1));
    assert!(cluster.image.is_active(id(1)));
    assert_eq!(cluster.state("t"), "1 e0 isr 1");
}

#[test]
fn a_lone_node_that_did_not_raises_them_all_in_one_batch() {
    let mut cluster = Cluster::of(&[1]);
    cluster.create_on("t", &[1]);
    cluster.create_on("u", &[1]);
    cluster.run(|c, _| c.start_alone(&registration(1, 1), false));
    cluster.run(|c, _| c.start_alone(&registration(1, 2), false));
    assert_eq!(cluster.state("t"), "1 e2 isr 1");
    assert_eq!(cluster.state("u"), "1 e2 isr 1");
}

#[test]
fn a_lone_node_takes_back_what_has_no_leader() {
    let mut cluster = Cluster::of(&[1]);
    cluster.create_on("t", &[1]);
    cluster.fence(1);
    assert_eq!(cluster.state("t"), "- e1 isr  elr 1 last 1");
    cluster.run(|c, _| c.start_alone(&registration(1, 1), true));
    assert_eq!(cluster.state("t"), "1 e2 isr 1");
}

#[test]
fn the_leader_moves_to_the_next_replica_in_sync() {
    let mut cluster = Cluster::of(&[1, 2, 3]);
    cluster.create_on("t", &[1, 2, 3]);
    cluster.fence(1);
    assert_eq!(cluster.state("t"), "2 e1 isr 2,3");
    cluster.fence(3);
    assert_eq!(
        cluster.state("t"),
        "2 e1 isr 2",
        "a follower's loss is no new term"
    );
    cluster.unfence(1);
    assert_eq!(
        cluster.state("t"),
        "2 e1 isr 2",
        "being back is not being in sync"
    );
}

#[test]
fn the_last_replicas_in_sync_stay_eligible() {
    let mut cluster = Cluster::of(&[1, 2]);
    cluster.create_on("t", &[1, 2]);
    cluster.fence(2);
    cluster.fence(1);
    assert_eq!(cluster.state("t"), "- e1 isr  elr 1 last 1");
    cluster.unfence(2);
    assert_eq!(
        cluster.state("t"),
        "- e1 isr  elr 1 last 1",
        "2 may lack records"
    );
    cluster.unfence(1);
    assert_eq!(cluster.state("t"), "1 e2 isr 1");
}

#[test]
fn a_replica_back_from_an_unclean_stop_is_not_eligible() {
    let mut cluster = Cluster::of(&[1, 2]);
    cluster.create_on("t", &[1, 2]);
    cluster.fence(2);
    cluster.fence(1);
    let back = cluster
        .run(|c, _| c.register_broker(&registration(1, 1), false, false))
        .unwrap();
    assert_eq!(cluster.state("t"), "- e1 isr  last 1");
    assert_eq!(cluster.epoch(1), back);
    cluster.unfence(1);
    // Nobody knows more than the last leader: it leads, and says that it may have lost records.
    assert_eq!(cluster.state("t"), "1 e2 isr 1 recovering");
}

#[test]
fn an_unclean_stop_hands_the_leadership_to_who_is_in_sync() {
    let mut cluster = Cluster::of(&[1, 2]);
    cluster.create_on("t", &[1, 2]);
    cluster
        .run(|c, _| c.register_broker(&registration(1, 1), false, false))
        .unwrap();
    assert_eq!(cluster.state("t"), "2 e1 isr 2");
    assert!(!cluster.image.is_active(id(1)));
}

#[test]
fn a_second_process_cannot_take_a_live_brokers_id() {
    let mut cluster = Cluster::of(&[1]);
    let taken = cluster.run(|c, _| c.register_broker(&registration(1, 1), true, true));
    assert_eq!(code(taken), ErrorCode::DuplicateBrokerRegistration);
    cluster
        .run(|c, _| c.register_broker(&registration(1, 0), true, true))
        .unwrap();
}

fn elect(cluster: &mut Cluster, election: ElectionType, topic: &str) -> ApiResult<()> {
    let request = ElectLeaders {
        election,
        topics: Some(vec![(topic.to_owned(), vec![0])]),
    };
    let mut outcome = cluster.run(|c, _| c.elect_leaders(&request));
    outcome.remove(0).partitions.remove(0).result
}

#[test]
fn preferred_elections_answer_as_kafka_does() {
    use ElectionType::Preferred;
    let mut cluster = Cluster::of(&[1, 2]);
    cluster.create_on("t", &[1, 2]);
    assert_eq!(
        code(elect(&mut cluster, Preferred, "t")),
        ErrorCode::ElectionNotNeeded
    );
    assert_eq!(
        code(elect(&mut cluster, Preferred, "nope")),
        ErrorCode::UnknownTopicOrPartition
    );
    cluster.fence(1);
    assert_eq!(
        code(elect(&mut cluster, Preferred, "t")),
        ErrorCode::PreferredLeaderNotAvailable
    );
}

#[test]
fn unclean_elections_take_whoever_is_up() {
    use ElectionType::Unclean;
    let mut cluster = Cluster::of(&[1, 2]);
    cluster.create_on("t", &[1, 2]);
    assert_eq!(
        code(elect(&mut cluster, Unclean, "t")),
        ErrorCode::ElectionNotNeeded
    );
    cluster.fence(2);
    cluster.fence(1);
    assert_eq!(
        code(elect(&mut cluster, Unclean, "t")),
        ErrorCode::EligibleLeadersNotAvailable
    );
    cluster.unfence(2);
    assert_eq!(cluster.state("t"), "- e1 isr  elr 1 last 1");
    elect(&mut cluster, Unclean, "t").unwrap();
    assert_eq!(cluster.state("t"), "2 e2 isr 2 recovering");
}

#[test]
fn all_partitions_are_asked_for_with_none() {
    let mut cluster = Cluster::of(&[1, 2]);
    cluster.create_on("good", &[1, 2]);
    cluster.create_on("lost", &[2]);
    cluster.fence(2);
    let request = ElectLeaders {
        election: ElectionType::Preferred,
        topics: None,
    };
    let outcome = cluster.run(|c, _| c.elect_leaders(&request));
    let partitions: Vec<_> = outcome
        .iter()
        .map(|topic| (&*topic.topic, topic.partitions.len()))
        .collect();
    assert_eq!(partitions, [("good", 0), ("lost", 1)]);
    assert_eq!(code(ElectionType::from_code(2)), ErrorCode::InvalidRequest);
}
