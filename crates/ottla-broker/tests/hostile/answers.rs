//! What answering takes, over all APIs, versions and lists, against what is charged for it.

use bytes::Bytes;
use ottla_partition::metadata::config::BrokerConfig;
use ottla_protocol::api::{APIS, Api};
use ottla_protocol::client::messages::create_topics_request::CreatableTopic;
use ottla_protocol::client::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::client::messages::describe_topic_partitions_request::TopicRequest;
use ottla_protocol::client::messages::{
    CreateTopicsRequest, DescribeConfigsRequest, DescribeLogDirsRequest,
    DescribeTopicPartitionsRequest, MetadataRequest, TopicName,
};
use ottla_protocol::client::{StrBytes, encode_request};
use ottla_protocol::{ApiKey, Checked, RequestHeader};

use crate::client::Client;
use crate::heap::Heap;
use crate::peer::{End, Peer, broker, frame};
use crate::wide::{Text, Wide};
use crate::{alone, cost};

/// Elements of the wide lists: enough for what each takes to stand out, below what the controller
/// makes at once.
const COUNT: usize = 1000;

#[test]
fn no_answer_takes_more_than_is_charged_for_it() {
    let _turn = alone();
    let (broker, address) = broker(|options| {
        // What is made is another test's matter.
        let off = ("auto.create.topics.enable".to_owned(), "false".to_owned());
        options.config = BrokerConfig::new([off]).unwrap().0;
    });
    let mut tried = 0;
    for (api, wide) in every_wide_request() {
        let Some(body) = wide.body(api) else { continue };
        let what = format!("{} {wide:?}", api.name());
        let header = RequestHeader {
            api_key: api.key,
            api_version: wide.version,
            correlation_id: 1,
            client_id: None,
        };
        let checked = Checked::new(&header, body.clone().into()).unwrap();
        let size = checked.size();
        let frame = frame(api, wide.version, &body);
        let peer = Peer::connect(address);
        let heap = Heap::watch();
        let end = peer.ask_last(&frame);
        let peak = heap.peak() as u64;
        let answering = cost::of_answering(size.elements as u64, size.text as u64);
        // A frame's buffer may be twice what came of it.
        let charged = answering + size.memory as u64 + 2 * frame.len() as u64;
        let made = u64::from(api.key == ApiKey::CreateTopics) * size.elements as u64;
        let charged = charged + made * cost::of_new_topic(1);
        assert!(
            peak <= charged,
            "{what}: {peak} bytes of {charged}, {end:?}"
        );
        tried += 1;
    }
    assert!(tried > 1000, "{tried} requests");
    drop(broker);
}

#[test]
fn no_new_topic_takes_more_than_is_charged_for_it() {
    let _turn = alone();
    let (broker, address) = broker(|_| {});
    // The first requests of a broker make what is there only once.
    for (round, partitions) in [1, 1, 1, 10, 1000].into_iter().enumerate() {
        let count = (COUNT / partitions).max(1);
        let frame = create(&round.to_string(), count, partitions);
        let heap = Heap::watch();
        let end = Peer::connect(address).ask_last(&frame);
        let peak = heap.peak() as u64;
        let length = frame.len() as u64;
        let charged = cost::of_answering(count as u64, length)
            + count as u64 * cost::of_new_topic(partitions as u64)
            + 3 * length;
        assert!(
            matches!(end, End::Answered(n) if n > 1000 * count),
            "{end:?}"
        );
        assert!(peak <= charged, "{peak} bytes of {charged}");
    }
    drop(broker);
}

/// The code that the creation of topic `name` is answered with.
pub(crate) fn create_named(client: &mut Client, name: &str) -> i16 {
    let topic = CreatableTopic::default()
        .with_name(TopicName(text(name.to_owned())))
        .with_num_partitions(1)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]);
    client.call(&request, 7).topics[0].error_code
}

/// A request that makes `count` topics.
pub(crate) fn create(prefix: &str, count: usize, partitions: usize) -> Bytes {
    let topics = (0..count).map(|number| {
        CreatableTopic::default()
            .with_name(TopicName(text(format!("{prefix}-{number}"))))
            .with_num_partitions(partitions as i32)
            .with_replication_factor(1)
    });
    let request = CreateTopicsRequest::default()
        .with_topics(topics.collect())
        .with_timeout_ms(60_000);
    encode_request(&request, 7, 1, "hostile").unwrap()
}

fn text(text: String) -> StrBytes {
    StrBytes::from_string(text)
}

#[test]
fn no_answer_about_the_state_takes_more_than_is_charged_for_it() {
    let _turn = alone();
    let (broker, address) = broker(|_| {});
    for (prefix, topics, partitions) in [("few", 90, 1), ("many", 10, 500)] {
        let end = Peer::connect(address).ask_last(&create(prefix, topics, partitions));
        assert!(matches!(end, End::Answered(_)), "{end:?}");
    }
    let topics = (0..90).map(|number| (2, format!("few-{number}")));
    let brokers = [(4, "1".to_owned()), (4, String::new())];
    let resources = topics.chain(brokers).map(|(kind, name)| {
        DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_configuration_keys(None)
    });
    let configs = DescribeConfigsRequest::default()
        .with_resources(resources.collect())
        .with_include_synonyms(true)
        .with_include_documentation(true);
    let metadata = MetadataRequest::default().with_topics(None);
    let told = 90 * cost::of_told_topic(1) + 10 * cost::of_told_topic(500);
    let groups = (0..500).map(|number| {
        DescribeConfigsResource::default()
            .with_resource_type(32)
            .with_resource_name(text(format!("group-{number}")))
            .with_configuration_keys(None)
    });
    let groups = DescribeConfigsRequest::default()
        .with_resources(groups.collect())
        .with_include_synonyms(true)
        .with_include_documentation(true);
    let mut log_dirs = DescribeLogDirsRequest::default();
    log_dirs.topics = None;
    // Up to 2,000 partitions, in the order of names; of those that are named, all.
    let pages = DescribeTopicPartitionsRequest::default().with_response_partition_limit(2000);
    let named =
        (0..10).map(|n| TopicRequest::default().with_name(TopicName(text(format!("many-{n}")))));
    let many = pages.clone().with_topics(named.collect());
    let page = 90 * cost::of_told_topic(1) + 4 * cost::of_told_topic(500);
    let requests = [
        (encode_request(&pages, 0, 1, ""), page),
        (
            encode_request(&many, 0, 1, ""),
            4 * cost::of_told_topic(500),
        ),
        (encode_request(&metadata, 12, 1, ""), told),
        (encode_request(&log_dirs, 4, 1, ""), told),
        (encode_request(&configs, 4, 1, ""), 92 * cost::CONFIG_BYTES),
        (encode_request(&groups, 4, 1, ""), 500 * cost::CONFIG_BYTES),
    ];
    for (number, (frame, told)) in requests.into_iter().enumerate() {
        let frame = frame.unwrap();
        let heap = Heap::watch();
        let end = Peer::connect(address).ask_last(&frame);
        let peak = heap.peak() as u64;
        let charged = cost::of_answering(0, frame.len() as u64) + told;
        assert!(matches!(end, End::Answered(50_000..)), "{number}: {end:?}");
        assert!(peak <= charged, "{number}: {peak} bytes of {charged}");
    }
    drop(broker);
}

#[test]
fn what_asks_for_more_than_the_limits_is_not_answered() {
    let _turn = alone();
    let (broker, address) = broker(|options| options.limits.request_memory_max = 10 << 20);
    let metadata = APIS.iter().find(|api| api.key == ApiKey::Metadata).unwrap();
    let wide = |count| Wide {
        version: 8,
        count,
        list: 0,
        inside: 0,
        number: 0,
        text: Text::Short,
    };
    let ask = |count| {
        let body = wide(count).body(metadata).unwrap();
        frame(metadata, 8, &body)
    };
    let within = Peer::connect(address).ask_last(&ask(5_000));
    assert!(matches!(within, End::Answered(_)), "{within:?}");
    let beyond = ask(10_000);
    let heap = Heap::watch();
    assert_eq!(Peer::connect(address).ask_last(&beyond), End::Closed);
    let (peak, allowed) = (heap.peak(), 3 * beyond.len() + (64 << 10));
    assert!(peak <= allowed, "{peak} bytes of {allowed}");

    // A long request without records ends as soon as its beginning is there.
    let mut peer = Peer::connect(address);
    let long = (8 << 20) + 1_u32;
    peer.send(&[&long.to_be_bytes()[..], &[0, 3]].concat());
    assert_eq!(peer.end(), End::Closed);
    drop(broker);
}

fn every_wide_request() -> impl Iterator<Item = (&'static Api, Wide)> {
    let versions = APIS
        .iter()
        .flat_map(|api| api.versions.clone().map(move |v| (api, v)));
    versions.flat_map(|(api, version)| {
        let kinds = [(0, 0), (1, 0), (1, 1), (2, 1)];
        let kinds = kinds.into_iter().flat_map(move |(number, inside)| {
            [(Text::Short, COUNT), (Text::Escaped, COUNT / 10)].map(|(text, count)| Wide {
                version,
                count,
                list: 0,
                inside,
                number,
                text,
            })
        });
        kinds.flat_map(move |wide| (0..6).map(move |list| (api, Wide { list, ..wide })))
    })
}
