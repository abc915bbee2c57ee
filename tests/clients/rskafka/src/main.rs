//! The scenarios of tests/src/clients.rs with rskafka.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    io::{self, BufRead},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use rskafka::{
    BackoffConfig,
    client::{
        Client, ClientBuilder,
        error::{Error as KafkaError, ProtocolError},
        partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling},
    },
    record::{Record, RecordAndOffset},
};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// How long the broker may take, in milliseconds.
const WITHIN: i32 = 30_000;

const CODECS: [(&str, Compression); 5] = [
    ("produce-none", Compression::NoCompression),
    ("produce-gzip", Compression::Gzip),
    ("produce-snappy", Compression::Snappy),
    ("produce-lz4", Compression::Lz4),
    ("produce-zstd", Compression::Zstd),
];

/// What the library does not have, and why.
const LACKS: [(&str, &str); 16] = [
    ("acks-0", "the library asks for all acknowledgements"),
    ("acks-1", "the library asks for all acknowledgements"),
    ("idempotence", "the library has no idempotent producer"),
    ("create-partitions", "the library has no call for it"),
    ("describe-configs", "the library has no call for it"),
    ("alter-configs", "the library has no call for it"),
    ("log-dirs", "the library has no call for it"),
    ("dump-log", "the library reads no files"),
    ("group-admin", "the library has no groups"),
    ("group-members", "the library has no groups"),
    ("group-cooperative", "the library has no groups"),
    ("group-static", "the library has no groups"),
    ("group-pattern", "the library has no groups"),
    ("group-restart", "the library has no groups"),
    ("group-kill", "the library has no groups"),
    ("group-clock", "the library has no groups"),
];

#[tokio::main]
async fn main() -> Outcome {
    let version = include_str!("../Cargo.toml").lines();
    let version = version.filter_map(|line| line.strip_prefix("rskafka = \"="));
    println!(
        "version {}",
        version.collect::<String>().trim_end_matches('"')
    );
    report("connect", connect().await);
    report("create-topic", create_topic().await);
    for (name, codec) in CODECS {
        report(name, produce(name, codec).await);
    }
    report("acks-all", acks_all().await);
    report("consume-beginning", consume_beginning().await);
    report("consume-end", consume_end().await);
    report("consume-offset", consume_offset().await);
    report("consume-timestamp", consume_timestamp().await);
    report("unknown-topic", unknown_topic().await);
    report("auto-create", auto_create().await);
    report("oversize-record", oversize_record().await);
    report("delete-records", delete_records().await);
    report("delete-topic", delete_topic().await);
    for (name, reason) in LACKS {
        println!("n/a {name} {reason}");
    }
    report("restart", interrupted("restart").await);
    report("kill", interrupted("kill").await);
    Ok(())
}

/// The library tells of topics only, not of brokers.
async fn connect() -> Outcome {
    open().await?.list_topics().await?;
    Ok(())
}

async fn create_topic() -> Outcome {
    let client = open().await?;
    create(&client, "created", 3).await?;
    let topics = client.list_topics().await?;
    let topic = topics.iter().find(|topic| topic.name == "created");
    let partitions = topic.map(|topic| topic.partitions.len());
    same(&Some(3), &partitions)?;
    let again = client.controller_client()?;
    let again = again.create_topic("created", 3, 1, WITHIN).await;
    fails(ProtocolError::TopicAlreadyExists, again)
}

/// Keys, values and headers, null and empty ones; a header's key cannot repeat here.
async fn produce(topic: &str, codec: Compression) -> Outcome {
    let client = open().await?;
    create(&client, topic, 1).await?;
    let partition = leader(&client, topic, 0).await?;
    let record = |i: i64| Record {
        key: Some(format!("key {}", i % 10).into_bytes()),
        value: (i % 50 != 0).then(|| {
            let text = format!("value {i} of a compressible text ");
            text.repeat(usize::try_from(i % 7).unwrap_or_default())
                .into_bytes()
        }),
        headers: BTreeMap::from([
            ("trace".to_owned(), format!("id {i}").into_bytes()),
            ("empty".to_owned(), Vec::new()),
        ]),
        timestamp: at(1_700_000_000_000 + i),
    };
    let sent: Vec<Record> = (0..300).map(record).collect();
    let offsets = partition.produce(sent.clone(), codec).await?;
    same(&(0..300).collect::<Vec<i64>>(), &offsets)?;
    let read = read(&partition, 0, 300).await?;
    let read: Vec<Record> = read.into_iter().map(|read| read.record).collect();
    same(&sent, &read)
}

async fn acks_all() -> Outcome {
    let partition = topic("acks-all").await?;
    same(
        &(0..100).collect::<Vec<i64>>(),
        &send(&partition, 0, 100).await?,
    )?;
    same(&numbered(0, 100), &values(read(&partition, 0, 100).await?))
}

async fn consume_beginning() -> Outcome {
    let partition = topic("consume-beginning").await?;
    send(&partition, 0, 50).await?;
    let start = partition.get_offset(OffsetAt::Earliest).await?;
    same(
        &numbered(0, 50),
        &values(read(&partition, start, 50).await?),
    )
}

async fn consume_end() -> Outcome {
    let partition = topic("consume-end").await?;
    send(&partition, 0, 50).await?;
    let end = partition.get_offset(OffsetAt::Latest).await?;
    same(&50, &end)?;
    send(&partition, 50, 60).await?;
    same(&numbered(50, 60), &values(read(&partition, end, 10).await?))
}

async fn consume_offset() -> Outcome {
    let partition = topic("consume-offset").await?;
    send(&partition, 0, 50).await?;
    same(&numbered(33, 50), &values(read(&partition, 33, 17).await?))
}

async fn consume_timestamp() -> Outcome {
    let partition = topic("consume-timestamp").await?;
    let start = Utc::now() - TimeDelta::minutes(1);
    let record = |i: i32| Record {
        timestamp: start + TimeDelta::milliseconds(100) * i,
        ..value(&format!("v{i}"))
    };
    let records = (0..50).map(record).collect();
    partition
        .produce(records, Compression::NoCompression)
        .await?;
    let middle = OffsetAt::Timestamp(start + TimeDelta::milliseconds(2_950));
    let found = partition.get_offset(middle).await?;
    same(&30, &found)?;
    same(
        &numbered(30, 50),
        &values(read(&partition, found, 20).await?),
    )
}

/// Asking for a partition would make the topic.
async fn unknown_topic() -> Outcome {
    let client = open().await?;
    let deleted = client
        .controller_client()?
        .delete_topic("unknown", WITHIN)
        .await;
    fails(ProtocolError::UnknownTopicOrPartition, deleted)?;
    let topics = client.list_topics().await?;
    let created = topics.iter().any(|topic| topic.name == "unknown");
    check(!created, "the topic was created")
}

async fn auto_create() -> Outcome {
    let partition = leader(&open().await?, "auto-created", 0).await?;
    send(&partition, 0, 1).await?;
    same(&numbered(0, 1), &values(read(&partition, 0, 1).await?))
}

/// Against the broker's default of 1 MiB: the library cannot configure a topic.
async fn oversize_record() -> Outcome {
    let partition = topic("oversize").await?;
    send(&partition, 0, 1).await?;
    let large = vec![value(&"x".repeat(2_000_000))];
    let refused = partition.produce(large, Compression::NoCompression).await;
    fails(ProtocolError::MessageTooLarge, refused)?;
    send(&partition, 1, 2).await?;
    same(&numbered(0, 2), &values(read(&partition, 0, 2).await?))
}

async fn delete_records() -> Outcome {
    let partition = topic("delete-records").await?;
    send(&partition, 0, 50).await?;
    partition.delete_records(20, WITHIN).await?;
    same(&20, &partition.get_offset(OffsetAt::Earliest).await?)?;
    same(&numbered(20, 50), &values(read(&partition, 20, 30).await?))?;
    let before = partition.fetch_records(10, 1..1_000_000, 100).await;
    fails(ProtocolError::OffsetOutOfRange, before)
}

async fn delete_topic() -> Outcome {
    let name = "delete-topic";
    let first = topic(name).await?;
    send(&first, 0, 10).await?;
    let client = open().await?;
    client
        .controller_client()?
        .delete_topic(name, WITHIN)
        .await?;
    while client
        .list_topics()
        .await?
        .iter()
        .any(|topic| topic.name == name)
    {
        // A round trip each; the broker learns of the deletion a moment after the answer.
    }
    let again = topic(name).await?;
    send(&again, 90, 91).await?;
    same(&numbered(90, 91), &values(read(&again, 0, 1).await?))
}

/// The ledger of the harness decides about this one. A request is sent once: without idempotence
/// a second try may double its records.
async fn interrupted(how: &str) -> Outcome {
    create(&open().await?, how, 3).await?;
    let once = BackoffConfig {
        deadline: Some(Duration::ZERO),
        ..BackoffConfig::default()
    };
    let client = ClientBuilder::new(vec![bootstrap()])
        .backoff_config(once)
        .build()
        .await?;
    let (first, second) = (leaders(&client, how).await?, leaders(&client, how).await?);
    for chunk in 0..50 {
        send_to_ledger(&first, chunk).await?;
    }
    let under_way = async {
        for chunk in 50..100 {
            // What fails here was on its way when the broker stopped.
            let _ = send_to_ledger(&second, chunk).await;
        }
    };
    let (answer, ()) = tokio::join!(ask(how), under_way);
    answer?;
    let client = open().await?;
    let partitions = leaders(&client, how).await?;
    for chunk in 100..150 {
        send_to_ledger(&partitions, chunk).await?;
    }
    for (number, partition) in partitions.iter().enumerate() {
        let start = partition.get_offset(OffsetAt::Earliest).await?;
        let end = partition.get_offset(OffsetAt::Latest).await?;
        for RecordAndOffset { record, offset } in read(partition, start, end - start).await? {
            println!("read {number} {offset} {}", text(record));
        }
    }
    Ok(())
}

async fn send_to_ledger(partitions: &[PartitionClient], chunk: usize) -> Outcome {
    let number = chunk % partitions.len();
    let values: Vec<String> = (0..10)
        .map(|i| format!("value-{}", 10 * chunk + i))
        .collect();
    let records = values.iter().map(|text| value(text)).collect();
    let offsets = partitions[number]
        .produce(records, Compression::NoCompression)
        .await?;
    for (offset, value) in offsets.iter().zip(values) {
        println!("acked {number} {offset} {value}");
    }
    Ok(())
}

// What the scenarios are made of.

fn report(name: &str, outcome: Outcome) {
    match outcome {
        Ok(()) => println!("ok {name}"),
        Err(error) => println!("FAIL {name} {}", error.to_string().replace('\n', " ")),
    }
}

async fn ask(what: &str) -> Outcome {
    println!("{what}");
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    same(&"done\n".to_owned(), &answer.await??)
}

fn check(condition: bool, otherwise: &str) -> Outcome {
    if condition {
        Ok(())
    } else {
        Err(otherwise.into())
    }
}

fn same<T: PartialEq + std::fmt::Debug>(expected: &T, found: &T) -> Outcome {
    check(
        expected == found,
        &format!("expected {expected:?}, found {found:?}"),
    )
}

fn fails<T>(expected: ProtocolError, found: Result<T, KafkaError>) -> Outcome {
    match found {
        Ok(_) => Err(format!("expected {expected}, found success").into()),
        Err(KafkaError::ServerError { protocol_error, .. }) if protocol_error == expected => Ok(()),
        Err(other) => Err(format!("expected {expected}, found {other}").into()),
    }
}

fn bootstrap() -> String {
    env::var("BOOTSTRAP_SERVERS").unwrap_or_default()
}

async fn open() -> Outcome<Client> {
    Ok(ClientBuilder::new(vec![bootstrap()]).build().await?)
}

async fn create(client: &Client, topic: &str, partitions: i32) -> Outcome {
    let controller = client.controller_client()?;
    Ok(controller
        .create_topic(topic, partitions, 1, WITHIN)
        .await?)
}

async fn leader(client: &Client, topic: &str, partition: i32) -> Outcome<PartitionClient> {
    let handling = UnknownTopicHandling::Retry;
    Ok(client.partition_client(topic, partition, handling).await?)
}

async fn leaders(client: &Client, topic: &str) -> Outcome<Vec<PartitionClient>> {
    let mut partitions = Vec::new();
    for partition in 0..3 {
        partitions.push(leader(client, topic, partition).await?);
    }
    Ok(partitions)
}

/// The only partition of a new topic.
async fn topic(name: &str) -> Outcome<Arc<PartitionClient>> {
    let client = open().await?;
    create(&client, name, 1).await?;
    Ok(Arc::new(leader(&client, name, 0).await?))
}

async fn send(partition: &PartitionClient, from: i64, to: i64) -> Outcome<Vec<i64>> {
    let records = numbered(from, to).iter().map(|text| value(text)).collect();
    Ok(partition
        .produce(records, Compression::NoCompression)
        .await?)
}

async fn read(partition: &PartitionClient, from: i64, count: i64) -> Outcome<Vec<RecordAndOffset>> {
    let count = usize::try_from(count)?;
    let mut records: Vec<RecordAndOffset> = Vec::new();
    let mut next = from;
    while records.len() < count {
        let (fetched, _) = partition.fetch_records(next, 1..1_000_000, 200).await?;
        next = fetched.last().map_or(next, |last| last.offset + 1);
        records.extend(fetched);
    }
    Ok(records)
}

fn value(text: &str) -> Record {
    Record {
        key: Some(b"k".to_vec()),
        value: Some(text.as_bytes().to_vec()),
        headers: BTreeMap::new(),
        timestamp: at(Utc::now().timestamp_millis()),
    }
}

fn at(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

fn text(record: Record) -> String {
    String::from_utf8_lossy(&record.value.unwrap_or_default()).into_owned()
}

fn values(records: Vec<RecordAndOffset>) -> Vec<String> {
    records.into_iter().map(|read| text(read.record)).collect()
}

fn numbered(from: i64, to: i64) -> Vec<String> {
    (from..to).map(|i| format!("v{i}")).collect()
}
