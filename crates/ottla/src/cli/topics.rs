//! `ottla topics`: create, list, describe, delete.

use std::io::Write;

use ottla_protocol::client::StrBytes;
use ottla_protocol::client::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig,
};
use ottla_protocol::client::messages::delete_topics_request::DeleteTopicState;
use ottla_protocol::client::messages::describe_configs_request::DescribeConfigsResource;
use ottla_protocol::client::messages::{
    CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
};
use serde_json::{Value, json};

use super::args::TopicsCommand;
use super::client::{Client, ClientError, EARLIEST, LATEST, REQUEST_TIMEOUT, Topic, name_of};

/// The resource type of a topic in DescribeConfigs.
const RESOURCE_TOPIC: i8 = 2;
/// The source of a setting made on the topic itself.
const SOURCE_TOPIC: i8 = 1;

/// Runs the command and prints its result to `out`.
pub(crate) fn run(command: &TopicsCommand, out: &mut dyn Write) -> Result<(), ClientError> {
    match command {
        TopicsCommand::Create {
            topic,
            partitions,
            config,
            broker,
        } => {
            let mut client = Client::connect(&broker.bootstrap_server)?;
            create(&mut client, topic, partitions.unwrap_or(-1), config, out)
        }
        TopicsCommand::List { json, broker } => {
            list(&mut Client::connect(&broker.bootstrap_server)?, *json, out)
        }
        TopicsCommand::Describe {
            topic,
            json,
            broker,
        } => describe(
            &mut Client::connect(&broker.bootstrap_server)?,
            topic,
            *json,
            out,
        ),
        TopicsCommand::Delete { topic, broker } => {
            delete(&mut Client::connect(&broker.bootstrap_server)?, topic, out)
        }
    }
}

fn create(
    client: &mut Client,
    name: &str,
    partitions: i32,
    config: &[String],
    out: &mut dyn Write,
) -> Result<(), ClientError> {
    let mut configs = Vec::new();
    for setting in config {
        let (key, value) = split_setting(setting)?;
        configs.push(
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_string(key.to_owned()))
                .with_value(Some(StrBytes::from_string(value.to_owned()))),
        );
    }
    let topic = CreatableTopic::default()
        .with_name(name_of(name))
        .with_num_partitions(partitions)
        .with_replication_factor(-1)
        .with_configs(configs);
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(timeout_ms());
    let answer = client.call("CreateTopics", &request)?;
    for topic in &answer.topics {
        let doing = || format!("creating topic {name:?}");
        ClientError::check(topic.error_code, topic.error_message.as_ref(), doing)?;
        let count = topic.num_partitions;
        let s = if count == 1 { "" } else { "s" };
        print(
            out,
            &format!("created topic {name} with {count} partition{s}"),
        )?;
    }
    Ok(())
}

fn list(client: &mut Client, json: bool, out: &mut dyn Write) -> Result<(), ClientError> {
    let mut topics = client.topics(None, false)?;
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    for topic in &topics {
        let line = if json {
            let partitions = topic.partitions.len();
            json!({"name": topic.name, "id": id_text(topic), "partitions": partitions}).to_string()
        } else {
            topic.name.clone()
        };
        print(out, &line)?;
    }
    Ok(())
}

fn describe(
    client: &mut Client,
    name: &str,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), ClientError> {
    let topic = client.topic(name, false)?;
    let configs = overrides(client, name)?;
    let mut ends = Vec::new();
    for partition in &topic.partitions {
        let start = client.offset(&topic, partition.number, EARLIEST, false)?;
        ends.push((
            start,
            client.offset(&topic, partition.number, LATEST, false)?,
        ));
    }
    if json {
        let partition = |(p, (start, end)): (&super::client::PartitionInfo, &(i64, i64))| {
            json!({"partition": p.number, "leader": p.leader, "leaderEpoch": p.leader_epoch,
                   "replicas": p.replicas, "isr": p.isr, "startOffset": start, "endOffset": end})
        };
        let partitions: Vec<Value> = topic.partitions.iter().zip(&ends).map(partition).collect();
        let configs: Value = configs.into_iter().collect();
        let line = json!({"name": topic.name, "id": id_text(&topic), "configs": configs,
                          "partitions": partitions});
        return print(out, &line.to_string());
    }
    print(
        out,
        &format!("topic {}  id {}", topic.name, id_text(&topic)),
    )?;
    for (key, value) in &configs {
        print(
            out,
            &format!("  {key}={}", value.as_str().unwrap_or_default()),
        )?;
    }
    print(
        out,
        "  partition  leader  epoch  replicas  in sync  start offset  end offset",
    )?;
    for (p, (start, end)) in topic.partitions.iter().zip(&ends) {
        let (replicas, isr) = (ids(&p.replicas), ids(&p.isr));
        let line = format!(
            "  {:>9}  {:>6}  {:>5}  {replicas:>8}  {isr:>7}  {start:>12}  {end:>10}",
            p.number, p.leader, p.leader_epoch
        );
        print(out, &line)?;
    }
    Ok(())
}

fn delete(client: &mut Client, name: &str, out: &mut dyn Write) -> Result<(), ClientError> {
    let state = DeleteTopicState::default().with_name(Some(name_of(name)));
    let request = DeleteTopicsRequest::default()
        .with_topics(vec![state])
        .with_topic_names(vec![name_of(name)])
        .with_timeout_ms(timeout_ms());
    let answer = client.call("DeleteTopics", &request)?;
    for topic in &answer.responses {
        let doing = || format!("deleting topic {name:?}");
        ClientError::check(topic.error_code, topic.error_message.as_ref(), doing)?;
        print(out, &format!("deleted topic {name}"))?;
    }
    Ok(())
}

/// The settings made on the topic itself, by name.
fn overrides(client: &mut Client, name: &str) -> Result<Vec<(String, Value)>, ClientError> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(RESOURCE_TOPIC)
        .with_resource_name(StrBytes::from_string(name.to_owned()))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let answer = client.call("DescribeConfigs", &request)?;
    let mut settings = Vec::new();
    for result in &answer.results {
        let doing = || format!("reading the settings of topic {name:?}");
        ClientError::check(result.error_code, result.error_message.as_ref(), doing)?;
        for config in result
            .configs
            .iter()
            .filter(|c| c.config_source == SOURCE_TOPIC)
        {
            let value = config
                .value
                .as_ref()
                .map_or(Value::Null, |v| json!(v.as_str()));
            settings.push((config.name.to_string(), value));
        }
    }
    settings.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(settings)
}

/// Splits `KEY=VALUE`.
pub(crate) fn split_setting(setting: &str) -> Result<(&str, &str), ClientError> {
    let wrong = || ClientError::Input(format!("{setting:?} is not of the form KEY=VALUE"));
    setting
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(wrong)
}

fn id_text(topic: &Topic) -> String {
    ottla_log::TopicId::from_bytes(*topic.id.as_bytes()).to_base64()
}

fn ids(ids: &[i32]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

fn timeout_ms() -> i32 {
    i32::try_from(REQUEST_TIMEOUT.as_millis()).unwrap_or(i32::MAX)
}

fn print(out: &mut dyn Write, line: &str) -> Result<(), ClientError> {
    let doing = "writing to standard output";
    writeln!(out, "{line}").map_err(|source| ClientError::Io { doing, source })
}
