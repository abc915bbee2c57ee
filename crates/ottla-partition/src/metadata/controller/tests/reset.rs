use super::*;
use crate::metadata::record::ConfigResource;

fn set(cluster: &mut Cluster, kind: i8, name: &str, key: &str, value: &str) {
    let resource = AlterResource {
        kind,
        name: name.into(),
        ops: vec![AlterOp {
            name: key.into(),
            op: 0,
            value: Some(value.into()),
        }],
        denied: None,
    };
    let altered = cluster.run(|c, _| c.incremental_alter_configs(&[resource], false));
    assert_eq!(altered[0].result, Ok(()), "{kind} {name} {key}");
}

#[test]
fn a_reset_leaves_what_a_new_cluster_has() {
    let mut cluster = Cluster::of(&[1, 2]);
    let new = cluster.image.clone();
    cluster.create(NewTopic::new("t")).unwrap();
    cluster.create(NewTopic::new("__consumer_offsets")).unwrap();
    let (topic, broker, client_metrics, group) = (2, 4, 16, 32);
    set(&mut cluster, topic, "t", "retention.ms", "1");
    set(&mut cluster, broker, "", "min.insync.replicas", "2");
    set(&mut cluster, broker, "", "log.retention.ms", "1");
    set(&mut cluster, broker, "1", "log.cleaner.threads", "2");
    set(&mut cluster, client_metrics, "m", "interval.ms", "100");
    set(
        &mut cluster,
        group,
        "g",
        "consumer.session.timeout.ms",
        "50000",
    );
    let epoch = cluster.image.broker(id(1)).unwrap().epoch;
    let take = |cluster: &mut Cluster| {
        let block = cluster.run(|c, _| c.allocate_producer_ids(id(1), epoch));
        block.unwrap().take().unwrap()
    };
    let taken = take(&mut cluster);
    cluster.run(|c, _| c.reset());
    assert_eq!(cluster.image.topics().count(), 0);
    assert!(cluster.image.configs().eq(new.configs()));
    assert!(cluster.image.brokers().eq(new.brokers()));
    assert!(take(&mut cluster) > taken);

    let controller = Controller::new(&cluster.image, cluster.node, &cluster.at_start);
    assert!(
        controller.reset().records.is_empty(),
        "nothing is left to reset"
    );
    let kept = cluster
        .image
        .config(&ConfigResource::all_brokers())
        .unwrap();
    assert_eq!(kept.get("min.insync.replicas").map(|v| &**v), Some("1"));
}
