//! The answer to a Fetch request.

use ottla_log::vfs::FileRange;
use ottla_protocol::ErrorCode;
use ottla_protocol::fetch::{
    AbortedTransaction, EpochEndOffset, FetchRequest, FetchResponse, FetchableTopicResponse,
    PartitionData, Records,
};

use tokio::sync::OwnedSemaphorePermit;

use super::look::{Look, Seen};
use super::session::{Key, Told, TopicKey};
use super::{Context, Fetch, Held};
use crate::authorizer::{AclOperation, Resource};
use crate::connection::Outgoing;
use crate::handlers::leaders::Leaders;
use crate::handlers::wire::{text, topic_id, uuid};
use crate::partition::View;

/// The answer to a request of which nothing is looked at.
pub(super) fn refuse_all(request: &FetchRequest, code: ErrorCode) -> FetchResponse {
    let topics = request.topics.iter().map(|topic| FetchableTopicResponse {
        topic: text(topic.topic.as_str()),
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| failed(partition.partition, code))
            .collect(),
    });
    FetchResponse {
        responses: topics.collect(),
        ..FetchResponse::default()
    }
}

/// The answer to an isolation level that there is none of: in the form of each version.
pub(super) fn unknown_isolation(version: i16, request: &FetchRequest) -> FetchResponse {
    let code = ErrorCode::InvalidRequest;
    let mut response = match version {
        13.. => FetchResponse::default(),
        _ => refuse_all(request, code),
    };
    if version >= 7 {
        response.error_code = code.code();
    }
    response
}

/// The answer to who says that it is a replica. The high watermark follows what replicas fetch, so
/// nobody may just say so; and this broker knows of no other.
pub(super) fn refuse_replica(context: &Context, request: &FetchRequest) -> Outgoing {
    if !context.allows(AclOperation::ClusterAction, Resource::Cluster) {
        return refuse_all(request, ErrorCode::TopicAuthorizationFailed).into();
    }
    let mut response = refuse_all(request, ErrorCode::NotLeaderOrFollower);
    let mut leaders = Leaders::new(context);
    if context.version >= 16 {
        for topic in &mut response.responses {
            let Some(known) = context.image.topic_by_id(topic_id(&topic.topic_id)) else {
                continue;
            };
            for partition in &mut topic.partitions {
                partition.current_leader = leaders.hint(known, partition.partition_index);
            }
        }
    }
    response.into()
}

/// The answer from what was found.
pub(super) fn respond(mut fetch: Fetch) -> Outgoing {
    let looks = std::mem::take(&mut fetch.looks);
    let is_incremental = matches!(fetch.session, Held::Kept { .. });
    let context = fetch.context.clone();
    let mut answer = Answer {
        leaders: Leaders::new(&context),
        topics: Vec::new(),
        payloads: Vec::new(),
        files: None,
    };
    // Those that there is nothing by the name of come last, as Kafka does.
    let (missing, found): (Vec<_>, Vec<_>) = looks
        .into_values()
        .partition(|(_, look)| matches!(look, Look::Missing(_)));
    for (index, look) in found.into_iter().chain(missing) {
        let Some(slot) = fetch.session.slot(index) else {
            continue;
        };
        let (key, before) = (slot.key.clone(), slot.told);
        let told = told(&look);
        let rotate = look.bytes() > 0;
        let done = matches!(&look, Look::Seen(seen) if seen.records.is_none() && !seen.more);
        if !is_incremental || rotate || told.is_none() || told != before {
            answer.add(&fetch, &key, look);
        }
        fetch.session.answered(index, told, rotate, done);
    }
    let Answer {
        leaders,
        topics,
        payloads,
        files,
    } = answer;
    let response = FetchResponse {
        session_id: end(&mut fetch),
        responses: topics,
        node_endpoints: leaders.endpoints(),
        ..FetchResponse::default()
    };
    Outgoing {
        response: response.into(),
        payloads,
        charge: Some(fetch.charge),
        files,
    }
}

/// Keeps the session where the client asked for one; its id.
fn end(fetch: &mut Fetch) -> i32 {
    let core = &fetch.context.core;
    match &mut fetch.session {
        Held::Kept { id, .. } => *id,
        Held::Own { keep: false, .. } => 0,
        Held::Own { session, .. } => {
            session.watch_all();
            let session = session.take();
            let now = core.timer().monotonic();
            core.fetch_sessions().keep(session, now, &*core.entropy())
        }
    }
}

/// What the client will know of a partition; `None` where it was told of an error.
fn told(look: &Look) -> Option<Told> {
    match look {
        Look::Seen(Seen { view, .. }) => Some(Told {
            high_watermark: view.high_watermark.get(),
            log_start: view.start.get(),
        }),
        _ => None,
    }
}

/// An answer that is being put together.
struct Answer<'a> {
    leaders: Leaders<'a>,
    topics: Vec<FetchableTopicResponse>,
    payloads: Vec<FileRange>,
    files: Option<OwnedSemaphorePermit>,
}

impl Answer<'_> {
    fn add(&mut self, fetch: &Fetch, key: &Key, look: Look) {
        let mut partition = match look {
            Look::Missing(code) => PartitionData {
                aborted_transactions: Some(Vec::new()),
                ..failed(key.partition, code)
            },
            Look::Refused(code) => self.refused(fetch, key, code),
            Look::Diverging { view, epoch, end } => PartitionData {
                diverging_epoch: EpochEndOffset {
                    epoch: epoch.get(),
                    end_offset: end.get(),
                },
                ..seen(key.partition, &view)
            },
            Look::Seen(found) => PartitionData {
                aborted_transactions: Some(aborted(&found.aborted)),
                records: self.records(found.records, found.file),
                ..seen(key.partition, &found.view)
            },
        };
        let is_error = partition.error_code != ErrorCode::None.code();
        if !is_error {
            let aborted = partition.aborted_transactions.take();
            let told = || aborted.unwrap_or_default();
            partition.aborted_transactions = fetch.committed_only.then(told);
        }
        let (name, id) = match &key.topic {
            TopicKey::Name(name) => (text(&**name), uuid(ottla_log::TopicId::ZERO)),
            TopicKey::Id(id) => (text(""), uuid(*id)),
        };
        match self.topics.last_mut() {
            Some(last) if last.topic == name && last.topic_id == id => {
                last.partitions.push(partition);
            }
            _ => self.topics.push(FetchableTopicResponse {
                topic: name,
                topic_id: id,
                partitions: vec![partition],
            }),
        }
    }

    fn refused(&mut self, fetch: &Fetch, key: &Key, code: ErrorCode) -> PartitionData {
        let mut partition = failed(key.partition, code);
        let moved = [ErrorCode::NotLeaderOrFollower, ErrorCode::FencedLeaderEpoch];
        if fetch.context.version >= 16 && moved.contains(&code) {
            let image = &fetch.context.image;
            let topic = match &key.topic {
                TopicKey::Name(name) => image.topic(name),
                TopicKey::Id(id) => image.topic_by_id(*id),
            };
            if let Some(topic) = topic {
                partition.current_leader = self.leaders.hint(topic, key.partition);
            }
        }
        if fetch.context.version <= 5 && code == ErrorCode::KafkaStorageError {
            // Clients of that age do not know the code.
            partition.error_code = ErrorCode::NotLeaderOrFollower.code();
        }
        partition
    }

    fn records(
        &mut self,
        records: Option<FileRange>,
        file: Option<OwnedSemaphorePermit>,
    ) -> Records {
        let Some(range) = records else {
            return Records::default();
        };
        let length = usize::try_from(range.len()).expect("a range was read into no more memory");
        self.payloads.push(range);
        match (&mut self.files, file) {
            (Some(files), Some(file)) => files.merge(file),
            (files, file) => *files = files.take().or(file),
        }
        Records::Payload {
            index: self.payloads.len() - 1,
            length,
        }
    }
}

fn aborted(found: &[ottla_log::AbortedTransaction]) -> Vec<AbortedTransaction> {
    let aborted = |one: &ottla_log::AbortedTransaction| AbortedTransaction {
        producer_id: one.producer_id.get(),
        first_offset: one.first_offset.get(),
    };
    found.iter().map(aborted).collect()
}

fn seen(partition: i32, view: &View) -> PartitionData {
    PartitionData {
        partition_index: partition,
        high_watermark: view.high_watermark.get(),
        last_stable_offset: view.last_stable.get(),
        log_start_offset: view.start.get(),
        ..PartitionData::default()
    }
}

fn failed(partition: i32, code: ErrorCode) -> PartitionData {
    PartitionData {
        partition_index: partition,
        error_code: code.code(),
        high_watermark: -1,
        ..PartitionData::default()
    }
}
