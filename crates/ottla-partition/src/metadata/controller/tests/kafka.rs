//! The controller beside Apache Kafka 4.3.1: the same requests, the same answers.
//!
//! The files of `testdata/kafka/` hold what Kafka answered. A line `> ...` is a request, the
//! indented lines below it the answer: a code and its text, or what a key's description says.

use ottla_log::TopicId;

use super::*;
use crate::metadata::config::{ConfigEntry, ConfigSource, broker_def, known_broker_keys};

const TEXT_DIFFERS: &[&str] = &[
    // The client refused this one itself; the controller's text is of its own.
    "create ''",
];

fn testdata(name: &str) -> String {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/kafka");
    std::fs::read_to_string(format!("{dir}/{name}")).unwrap()
}

/// The requests of a file, each with its answer.
fn requests(text: &str) -> Vec<(&str, Vec<&str>)> {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in text.lines() {
        if let Some(request) = line.strip_prefix("> ") {
            all.push((request, Vec::new()));
        } else if let (Some(answer), Some((_, lines))) = (line.strip_prefix("    "), all.last_mut())
        {
            lines.push(answer);
        }
    }
    all
}

fn run_file(name: &str, at_least: usize) {
    let text = testdata(name);
    let settings = text.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        let is_setting = !line.starts_with(['>', ' ']) && !key.contains(' ');
        is_setting.then_some((key, value))
    });
    let mut settings: Vec<(&str, &str)> = settings.collect();
    settings.push(("node.id", "1"));
    let mut cluster = Cluster::empty(&[1]).with_settings(&settings);
    cluster.run(|c, _| c.bootstrap());
    cluster.join(1);
    let requests = requests(&text);
    assert!(requests.len() >= at_least, "{} requests", requests.len());
    for (request, kafka) in requests {
        let words: Vec<&str> = request.split(' ').collect();
        let ours = match words[0] {
            "config" => describe(&cluster, &words),
            _ => vec![answer(perform(&mut cluster, &words))],
        };
        // A code without a text of its own comes with ours, which is not Kafka's.
        let is_plain = |line: &str| {
            let (name, text) = line.split_once(' ').unwrap_or((line, ""));
            let code = ErrorCode::ALL.iter().find(|code| code.name() == name);
            code.is_some_and(|code| code.message() == text)
        };
        let only_code = TEXT_DIFFERS.contains(&request) || ours.iter().any(|line| is_plain(line));
        if only_code {
            let code = |line: &str| line.split(' ').next().unwrap().to_owned();
            assert_eq!(code(&ours[0]), code(kafka[0]), "{name}: {request}");
        } else {
            assert_eq!(ours, kafka, "{name}: {request}");
        }
    }
}

#[test]
fn refusals_and_sources_are_kafkas() {
    run_file("controller.txt", 110);
}

#[test]
fn settings_at_the_start_count_as_in_kafka() {
    run_file("settings.txt", 8);
}

fn answer(result: ApiResult<()>) -> String {
    match result {
        Ok(()) => "OK".to_owned(),
        Err(error) => format!("{} {}", error.code.name(), error.message),
    }
}

fn perform(cluster: &mut Cluster, words: &[&str]) -> ApiResult<()> {
    match words[0] {
        "create" => create(cluster, &words[1..]),
        "grow" => grow(cluster, &words[1..]),
        "alter" => alter(cluster, &words[1..]),
        "delete" => delete(cluster, DeleteTopic::by_name(words[1])),
        "delete-id" => {
            let id = TopicId::from_base64(words[1]).unwrap();
            delete(cluster, DeleteTopic::by_id(id))
        }
        "elect" => {
            let election = match words[1] {
                "preferred" => ElectionType::Preferred,
                _ => ElectionType::Unclean,
            };
            let topics = vec![(words[2].to_owned(), vec![words[3].parse().unwrap()])];
            let request = ElectLeaders {
                election,
                topics: Some(topics),
            };
            let mut outcome = cluster.run(|c, _| c.elect_leaders(&request));
            outcome.remove(0).partitions.remove(0).result
        }
        other => panic!("no such request: {other}"),
    }
}

/// `1+2` as brokers; nothing as none.
fn brokers(text: &str) -> Vec<BrokerId> {
    let ids = text.split('+').filter(|id| !id.is_empty());
    ids.map(|id| BrokerId::new(id.parse().unwrap())).collect()
}

fn create(cluster: &mut Cluster, words: &[&str]) -> ApiResult<()> {
    let name = words[0].replace("LONG", &"x".repeat(250)).replace("''", "");
    let mut topic = NewTopic::new(name);
    let mut validate_only = false;
    for word in &words[1..] {
        match word.split_once('=') {
            None => validate_only = true,
            Some(("partitions", n)) => topic.partitions = n.parse().unwrap(),
            Some(("rf", n)) => topic.replication_factor = n.parse().unwrap(),
            Some(("assign", list)) => {
                let pairs = list.split(',').map(|pair| pair.split_once(':').unwrap());
                topic.assignments = pairs
                    .map(|(number, ids)| (number.parse().unwrap(), brokers(ids)))
                    .collect();
            }
            Some((key, value)) => topic.configs.push((key.into(), Some(value.into()))),
        }
    }
    let request = CreateTopics {
        topics: vec![topic],
        validate_only,
    };
    let mut outcome = cluster.run(|c, entropy| c.create_topics(&request, entropy));
    outcome.remove(0).result.map(|_| ())
}

fn grow(cluster: &mut Cluster, words: &[&str]) -> ApiResult<()> {
    let assignments = words.get(2).and_then(|word| word.strip_prefix("assign="));
    let request = NewPartitions {
        topic: words[0].into(),
        count: words[1].parse().unwrap(),
        assignments: assignments.map(|list| list.split(',').map(brokers).collect()),
        may_alter: true,
    };
    let mut outcome = cluster.run(|c, entropy| c.create_partitions(&[request], false, entropy));
    outcome.remove(0).result
}

fn delete(cluster: &mut Cluster, topic: DeleteTopic) -> ApiResult<()> {
    let mut outcome = cluster.run(|c, _| c.delete_topics(&[topic]));
    outcome.remove(0).result
}

fn alter(cluster: &mut Cluster, words: &[&str]) -> ApiResult<()> {
    let (kind, name) = words[0].split_once(':').unwrap();
    let resource_ops = words[1..].iter().map(|word| alter_op(word)).collect();
    let resource = AlterResource {
        kind: if kind == "topic" { 2 } else { 4 },
        name: name.into(),
        ops: resource_ops,
        denied: None,
    };
    let mut outcome = cluster.run(|c, _| c.incremental_alter_configs(&[resource], false));
    outcome.remove(0).result
}

/// `key=v` sets, `key+=v` appends, `key-=v` subtracts, `key-` deletes.
fn alter_op(word: &str) -> AlterOp {
    let (name, op, value) = match word.split_once('=') {
        None => (word.strip_suffix('-').unwrap(), 1, None),
        Some((key, value)) => match (key.strip_suffix('+'), key.strip_suffix('-')) {
            (Some(key), _) => (key, 2, Some(value)),
            (_, Some(key)) => (key, 3, Some(value)),
            _ => (key, 0, Some(value)),
        },
    };
    AlterOp {
        name: name.into(),
        op,
        value: value.map(|value| value.replace('_', " ")),
    }
}

fn describe(cluster: &Cluster, words: &[&str]) -> Vec<String> {
    let config = Controller::new(&cluster.image, cluster.node, &cluster.at_start).config();
    let entries = match words[1].split_once(':').unwrap() {
        ("topic", name) => config.describe_topic(name),
        (_, "") => config.describe_all_brokers(),
        _ => config.describe_broker(),
    };
    let find = |name: &&str| {
        let entry = entries.iter().find(|entry| entry.name == *name);
        entry.map_or_else(|| format!("{name} absent"), line)
    };
    words[2..].iter().map(find).collect()
}

/// An entry as the files write it.
fn line(entry: &ConfigEntry) -> String {
    let source = |source| match source {
        ConfigSource::Topic => "DYNAMIC_TOPIC_CONFIG",
        ConfigSource::DynamicBroker => "DYNAMIC_BROKER_CONFIG",
        ConfigSource::DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
        ConfigSource::StaticBroker => "STATIC_BROKER_CONFIG",
        ConfigSource::Default => "DEFAULT_CONFIG",
        ConfigSource::ClientMetrics => "CLIENT_METRICS_CONFIG",
        ConfigSource::Group => "GROUP_CONFIG",
    };
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".into());
    let (name, kind) = (entry.name, entry.kind.name());
    let mut text = format!(
        "{name}={} {kind} {}",
        value(&entry.value),
        source(entry.source)
    );
    if entry.read_only {
        text += " read-only";
    }
    if entry.sensitive {
        text += " sensitive";
    }
    for synonym in &entry.synonyms {
        let (name, value) = (&synonym.name, value(&synonym.value));
        text += &format!(" | {name}={value} {}", source(synonym.source));
    }
    text
}

#[test]
fn a_new_topic_is_described_as_kafka_does() {
    let mut cluster = Cluster::of(&[1]);
    cluster.create(NewTopic::new("t")).unwrap();
    let config = Controller::new(&cluster.image, cluster.node, &cluster.at_start).config();
    let ours: Vec<String> = config.describe_topic("t").iter().map(line).collect();
    let text = testdata("topic_configs.txt");
    let kafka: Vec<&str> = text.lines().skip(2).collect();
    assert_eq!(kafka.len(), 33);
    assert_eq!(ours, kafka);
}

/// Keys whose default is another one here.
const OTHER_DEFAULTS: &[&str] = &["listeners", "log.dir", "process.roles"];

#[test]
fn a_broker_is_described_as_kafka_does() {
    let text = testdata("broker_configs.txt");
    let kafka: Vec<&str> = text.lines().filter(|line| line.contains('=')).collect();
    let name = |line: &str| line.split('=').next().unwrap().to_owned();
    // What Kafka was started with.
    let given = kafka
        .iter()
        .filter(|line| line.contains(" STATIC_BROKER_CONFIG"));
    let given = given.map(|line| {
        let (key, rest) = line.split_once('=').unwrap();
        (key, rest.split(' ').next().unwrap())
    });
    let mut given: Vec<(&str, &str)> = given.collect();
    given.retain(|(key, _)| broker_def(key).is_some());
    let mut cluster = Cluster::empty(&[1]).with_settings(&given);
    cluster.run(|c, _| c.bootstrap());
    let config = Controller::new(&cluster.image, cluster.node, &cluster.at_start).config();
    let ours = config.describe_broker();
    let mut compared = 0;
    for entry in &ours {
        if entry.name.starts_with("ottla.") || OTHER_DEFAULTS.contains(&entry.name) {
            continue;
        }
        let theirs = kafka.iter().find(|line| name(line) == entry.name);
        let theirs = theirs.unwrap_or_else(|| panic!("Kafka has no {}", entry.name));
        assert_eq!(line(entry), **theirs);
        compared += 1;
    }
    assert!(compared >= 178, "{compared} keys");
    // Every key of Kafka's is at least known by name.
    let known = known_broker_keys();
    for key in kafka.iter().map(|line| name(line)) {
        let is_security = ["sasl.", "ssl.", "delegation.token."];
        let is_family = ["group.share.", "group.streams.", "share.", "remote."];
        let by_prefix = is_security
            .iter()
            .chain(&is_family)
            .any(|p| key.starts_with(p));
        assert!(by_prefix || known.contains(&&*key), "{key} is unknown");
    }
}
