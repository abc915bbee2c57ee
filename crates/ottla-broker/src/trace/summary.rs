//! What a trace line says of a request and its response.

use ottla_log::TopicId;
use ottla_partition::metadata::Image;
use ottla_protocol::{ErrorCode, Request, Response, StrBytes};

/// The first topic that a request names, by `image` where it gives an id, and how many it names.
pub(super) fn topics(request: &Request, image: &Image) -> (Option<String>, usize) {
    match request {
        Request::Produce(r) => {
            let first = r.topic_data.first();
            let text = first.map(|t| name_or_id(Some(&t.name), t.topic_id.into_bytes(), image));
            (text, r.topic_data.len())
        }
        Request::Fetch(r) => {
            let first = r.topics.first();
            let text = first.map(|t| name_or_id(Some(&t.topic), t.topic_id.into_bytes(), image));
            (text, r.topics.len())
        }
        Request::Metadata(r) => r.topics.as_ref().map_or((None, 0), |topics| {
            let first = topics.first();
            let text = first.map(|t| name_or_id(t.name.as_ref(), t.topic_id.into_bytes(), image));
            (text, topics.len())
        }),
        Request::ListOffsets(r) => named(r.topics.iter().map(|t| &t.name)),
        Request::OffsetForLeaderEpoch(r) => named(r.topics.iter().map(|t| &t.topic)),
        Request::CreateTopics(r) => named(r.topics.iter().map(|t| &t.name)),
        Request::CreatePartitions(r) => named(r.topics.iter().map(|t| &t.name)),
        Request::DeleteRecords(r) => named(r.topics.iter().map(|t| &t.name)),
        Request::DescribeTopicPartitions(r) => named(r.topics.iter().map(|t| &t.name)),
        Request::OffsetDelete(r) => named(r.topics.iter().map(|t| &t.name)),
        Request::OffsetCommit(r) => {
            let first = r.topics.first();
            let text = first.map(|t| name_or_id(Some(&t.name), t.topic_id.into_bytes(), image));
            (text, r.topics.len())
        }
        Request::DescribeConfigs(r) => named(r.resources.iter().map(|t| &t.resource_name)),
        Request::AlterConfigs(r) => named(r.resources.iter().map(|t| &t.resource_name)),
        Request::IncrementalAlterConfigs(r) => named(r.resources.iter().map(|t| &t.resource_name)),
        Request::DeleteTopics(r) if !r.topic_names.is_empty() => named(r.topic_names.iter()),
        Request::DeleteTopics(r) => {
            let first = r.topics.first();
            let text = first.map(|t| name_or_id(t.name.as_ref(), t.topic_id.into_bytes(), image));
            (text, r.topics.len())
        }
        Request::OffsetFetch(r) if r.groups.is_empty() => r
            .topics
            .as_ref()
            .map_or((None, 0), |topics| named(topics.iter().map(|t| &t.name))),
        Request::OffsetFetch(r) => {
            let topics = r.groups.iter().filter_map(|group| group.topics.as_ref());
            let count = topics.clone().map(ottla_protocol::Seq::len).sum();
            let first = topics.flat_map(|topics| topics.iter()).next();
            let text = first.map(|t| name_or_id(Some(&t.name), t.topic_id.into_bytes(), image));
            (text, count)
        }
        other => of_the_cluster(other),
    }
}

/// As [`topics`], for who asks how the cluster is.
fn of_the_cluster(request: &Request) -> (Option<String>, usize) {
    match request {
        Request::DescribeProducers(r) => named(r.topics.iter().map(|t| &t.name)),
        Request::DescribeQuorum(r) => named(r.topics.iter().map(|t| &t.topic_name)),
        Request::DescribeLogDirs(r) => r
            .topics
            .as_ref()
            .map_or((None, 0), |topics| named(topics.iter().map(|t| &t.topic))),
        Request::ElectLeaders(r) => {
            let topics = r.topic_partitions.as_ref();
            topics.map_or((None, 0), |topics| named(topics.iter().map(|t| &t.topic)))
        }
        Request::ListPartitionReassignments(r) => r
            .topics
            .as_ref()
            .map_or((None, 0), |topics| named(topics.iter().map(|t| &t.name))),
        _ => (None, 0),
    }
}

fn named<'a>(mut names: impl ExactSizeIterator<Item = &'a StrBytes>) -> (Option<String>, usize) {
    let count = names.len();
    (names.next().map(|name| escaped(name)), count)
}

/// Newer versions name topics by their ids alone.
fn name_or_id(name: Option<&StrBytes>, id: [u8; 16], image: &Image) -> String {
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        return escaped(name);
    }
    let id = TopicId::from_bytes(id);
    let known = image.topic_by_id(id);
    known.map_or_else(|| id.to_string(), |topic| topic.name.to_string())
}

/// A topic's name as it is, any other text as a string literal.
fn escaped(name: &str) -> String {
    if ottla_log::TopicName::new(name).is_ok() {
        name.to_owned()
    } else {
        let short: String = name.chars().take(super::CLIENT_ID_MAX).collect();
        format!("{short:?}")
    }
}

/// The first error in a response.
pub(crate) fn result(response: &Response) -> ErrorCode {
    let code = match response {
        Response::Produce(r) => first(
            r.responses
                .iter()
                .flat_map(|t| &t.partition_responses)
                .map(|p| p.error_code),
        ),
        Response::Fetch(r) => first(
            [r.error_code].into_iter().chain(
                r.responses
                    .iter()
                    .flat_map(|t| &t.partitions)
                    .map(|p| p.error_code),
            ),
        ),
        Response::ListOffsets(r) => first(
            r.topics
                .iter()
                .flat_map(|t| &t.partitions)
                .map(|p| p.error_code),
        ),
        Response::OffsetForLeaderEpoch(r) => first(
            r.topics
                .iter()
                .flat_map(|t| &t.partitions)
                .map(|p| p.error_code),
        ),
        Response::DeleteRecords(r) => first(
            r.topics
                .iter()
                .flat_map(|t| &t.partitions)
                .map(|p| p.error_code),
        ),
        Response::Metadata(r) => first(r.topics.iter().map(|t| t.error_code)),
        Response::DescribeTopicPartitions(r) => first(r.topics.iter().map(|t| t.error_code)),
        Response::CreateTopics(r) => first(r.topics.iter().map(|t| t.error_code)),
        Response::DeleteTopics(r) => first(r.responses.iter().map(|t| t.error_code)),
        Response::CreatePartitions(r) => first(r.results.iter().map(|t| t.error_code)),
        Response::DescribeConfigs(r) => first(r.results.iter().map(|t| t.error_code)),
        Response::AlterConfigs(r) => first(r.responses.iter().map(|t| t.error_code)),
        Response::IncrementalAlterConfigs(r) => first(r.responses.iter().map(|t| t.error_code)),
        Response::FindCoordinator(r) => first(
            [r.error_code]
                .into_iter()
                .chain(r.coordinators.iter().map(|c| c.error_code)),
        ),
        other => of_groups(other),
    };
    ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError)
}

/// The first error in a response about groups.
fn of_groups(response: &Response) -> i16 {
    match response {
        Response::JoinGroup(r) => r.error_code,
        Response::SyncGroup(r) => r.error_code,
        Response::Heartbeat(r) => r.error_code,
        Response::LeaveGroup(r) => first(
            [r.error_code]
                .into_iter()
                .chain(r.members.iter().map(|m| m.error_code)),
        ),
        Response::OffsetCommit(r) => first(
            r.topics
                .iter()
                .flat_map(|t| &t.partitions)
                .map(|p| p.error_code),
        ),
        Response::OffsetFetch(r) => {
            let partitions = r.topics.iter().flat_map(|t| &t.partitions);
            let of_groups = r.groups.iter().flat_map(|g| &g.topics);
            let of_groups = of_groups.flat_map(|t| &t.partitions);
            let codes = [r.error_code].into_iter();
            let codes = codes.chain(r.groups.iter().map(|g| g.error_code));
            let codes = codes.chain(partitions.map(|p| p.error_code));
            first(codes.chain(of_groups.map(|p| p.error_code)))
        }
        Response::OffsetDelete(r) => first(
            [r.error_code].into_iter().chain(
                r.topics
                    .iter()
                    .flat_map(|t| &t.partitions)
                    .map(|p| p.error_code),
            ),
        ),
        Response::DescribeGroups(r) => first(r.groups.iter().map(|g| g.error_code)),
        Response::ListGroups(r) => r.error_code,
        Response::DeleteGroups(r) => first(r.results.iter().map(|g| g.error_code)),
        other => answer_of_the_cluster(other),
    }
}

/// The first error in a response that says how the cluster is, or who may do what.
fn answer_of_the_cluster(response: &Response) -> i16 {
    match response {
        Response::DescribeLogDirs(r) => {
            let codes = [r.error_code].into_iter();
            first(codes.chain(r.results.iter().map(|dir| dir.error_code)))
        }
        Response::DescribeProducers(r) => {
            let partitions = r.topics.iter().flat_map(|t| &t.partitions);
            first(partitions.map(|p| p.error_code))
        }
        Response::DescribeCluster(r) => r.error_code,
        Response::DescribeQuorum(r) => {
            let partitions = r.topics.iter().flat_map(|t| &t.partitions);
            let codes = [r.error_code].into_iter();
            first(codes.chain(partitions.map(|p| p.error_code)))
        }
        Response::DescribeAcls(r) => r.error_code,
        Response::DescribeClientQuotas(r) => r.error_code,
        Response::DescribeUserScramCredentials(r) => {
            let codes = [r.error_code].into_iter();
            first(codes.chain(r.results.iter().map(|user| user.error_code)))
        }
        Response::ListConfigResources(r) => r.error_code,
        Response::PushTelemetry(r) => r.error_code,
        Response::GetTelemetrySubscriptions(r) => r.error_code,
        Response::ElectLeaders(r) => {
            let topics = r.replica_election_results.iter();
            let partitions = topics.flat_map(|t| &t.partition_result);
            let codes = [r.error_code].into_iter();
            first(codes.chain(partitions.map(|p| p.error_code)))
        }
        Response::ListPartitionReassignments(r) => r.error_code,
        Response::InitProducerId(r) => r.error_code,
        Response::SaslHandshake(r) => r.error_code,
        Response::SaslAuthenticate(r) => r.error_code,
        Response::ApiVersions(r) => r.error_code,
        Response::CreateAcls(r) => first(r.results.iter().map(|t| t.error_code)),
        Response::DeleteAcls(r) => first(r.filter_results.iter().map(|t| t.error_code)),
        _ => 0,
    }
}

fn first(mut codes: impl Iterator<Item = i16>) -> i16 {
    codes.find(|code| *code != 0).unwrap_or(0)
}
