//! Groups on a broker that is alone, asked in every version as their members, tools and
//! administrators ask.

mod crowded;
mod durable;
mod errors;
mod rebalance;
mod recovery;
mod refused;
mod topic;
mod transactions;
mod versions;
mod weights;

use std::pin::Pin;
use std::task::{Poll, Waker};

use ottla_log::TestClock;
use ottla_log::vfs::MemVfs;
use ottla_partition::metadata::config::BrokerConfig;
use ottla_protocol::messages as m;

use super::*;

/// A topic with six partitions.
const TOPIC: &str = "orders";

/// What a consumer of the topic `other` says of itself.
const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\x01\0\x05other\xff\xff\xff\xff";

/// A broker that is alone, and one peer of it.
struct Alone {
    broker: RunningBroker,
    session: Arc<Session>,
}

/// What each request is taken to hold of the budget.
const REQUEST_BYTES: u64 = 1 << 20;

/// An answer that is not there yet.
type Parked = Pin<Box<dyn Future<Output = Response> + Send>>;

impl Alone {
    fn start() -> Self {
        Self::with(BrokerOptions::new(Storage::InMemory))
    }

    /// On a disk that forgets what was not synced once it crashes.
    fn on(vfs: &MemVfs) -> Self {
        let storage = Storage::Vfs(Arc::new(vfs.clone()), "/ottla".into());
        Self::with(BrokerOptions::new(storage))
    }

    fn with(options: BrokerOptions) -> Self {
        let broker = start_blocking(options).expect("it starts");
        let alone = Self {
            broker,
            session: Arc::new(Session::in_process()),
        };
        if alone.image().topic(TOPIC).is_none() {
            alone.create(TOPIC, 6);
        }
        alone
    }

    fn image(&self) -> Arc<Image> {
        self.broker.core.metadata().image()
    }

    fn create(&self, name: &str, partitions: i32) {
        let request = m::CreateTopicsRequest {
            topics: [m::CreatableTopic {
                name: text(name),
                num_partitions: partitions,
                replication_factor: 1,
                ..Default::default()
            }]
            .into(),
            ..Default::default()
        };
        let created = ask!(self, 7, CreateTopics, request);
        assert_eq!(created.topics[0].error_code, 0);
    }

    fn delete(&self, name: &str) {
        let request = m::DeleteTopicsRequest {
            topic_names: [text(name)].into(),
            ..Default::default()
        };
        let deleted = ask!(self, 5, DeleteTopics, request);
        assert_eq!(deleted.responses[0].error_code, 0);
    }

    /// Loads what is on the disk, as happens in the background after a start.
    fn load_found(&self) {
        let (core, stop) = (Arc::clone(&self.broker.core), self.broker.stopper.stop());
        let loaded = async move { core.groups().load_found(&core, stop).await };
        let loaded = self.broker.core.runtime().block_on(loaded);
        loaded.expect("it ends");
    }

    fn topic_id(&self) -> Uuid {
        uuid(self.image().topic(TOPIC).expect("it was created").id)
    }

    fn context(&self, version: i16) -> Context {
        Context {
            core: Arc::clone(&self.broker.core),
            session: Arc::clone(&self.session),
            image: self.image(),
            version,
            client_id: Some("tester".into()),
            failed: Failed::default(),
        }
    }

    /// The answer to `request`, as it arrives in `version`.
    fn ask(&self, version: i16, request: impl Into<Request>) -> Option<Response> {
        let answer = self.begin(version, request);
        self.broker.core.runtime().block_on(answer)
    }

    /// As [`Alone::ask`] of a request that has to wait: it has taken effect, and nothing more.
    fn park(&self, version: i16, request: impl Into<Request>) -> Parked {
        let mut answer = self.begin(version, request);
        let mut cx = std::task::Context::from_waker(Waker::noop());
        let polled = answer.as_mut().poll(&mut cx);
        assert!(matches!(polled, Poll::Pending), "{polled:?}");
        answer
    }

    /// As [`Alone::ask`] of a request that waits for nothing.
    fn at_once(&self, version: i16, request: impl Into<Request>) -> Response {
        let mut answer = self.begin(version, request);
        let mut cx = std::task::Context::from_waker(Waker::noop());
        match answer.as_mut().poll(&mut cx) {
            Poll::Ready(response) => response,
            Poll::Pending => panic!("it waits"),
        }
    }

    fn begin(&self, version: i16, request: impl Into<Request>) -> Parked {
        Self::begin_in(self.context(version), request)
    }

    fn begin_in(context: Context, request: impl Into<Request>) -> Parked {
        let version = context.version;
        let (header, request) = over_the_wire(version, &request.into());
        Box::pin(async move {
            let mut charge = context.core.budget().charge();
            charge.force(REQUEST_BYTES);
            let outgoing = match handle(context, request, &mut charge).await {
                Reply::Now(outgoing) => outgoing,
                Reply::Later(later) => later.await,
                Reply::Nothing => panic!("no answer"),
                Reply::Close(why) => panic!("closed: {why}"),
            };
            let api = header.api().name();
            if let Err(error) = encode_response(&header, &outgoing.response) {
                panic!("{api} v{version}: {error}: {:?}", outgoing.response);
            }
            outgoing.response
        })
    }

    fn finish(&self, parked: Parked) -> Response {
        let answer = self.broker.core.runtime().block_on(parked);
        answer.expect("a handler does not panic")
    }

    /// Finds the coordinator, which makes it ready.
    fn find(&self, group: &str) {
        let request = m::FindCoordinatorRequest {
            coordinator_keys: [text(group)].into(),
            ..Default::default()
        };
        let found = ask!(self, 6, FindCoordinator, request);
        assert_eq!(found.coordinators[0].error_code, 0);
    }

    /// Joins as a new member and syncs as the only one.
    fn member(&self, group: &str) -> Member {
        self.find(group);
        let member_id = self.new_member_id(group);
        let joined = ask!(self, 9, JoinGroup, join(group, &member_id));
        assert_eq!(joined.error_code, 0);
        let member = Member {
            group: text(group),
            id: joined.member_id.clone(),
            generation: joined.generation_id,
        };
        assert_eq!(joined.leader, member.id);
        let synced = ask!(self, 5, SyncGroup, member.sync(&[(&member.id, b"all")]));
        assert_eq!((synced.error_code, &*synced.assignment), (0, &b"all"[..]));
        member
    }

    /// The id that a new member is told to come back with.
    fn new_member_id(&self, group: &str) -> String {
        let told = ask!(self, 9, JoinGroup, join(group, ""));
        assert_eq!(told.error_code, ErrorCode::MemberIdRequired.code());
        assert!(told.member_id.starts_with("tester-"), "{}", told.member_id);
        told.member_id.to_string()
    }

    fn heartbeat(&self, member: &Member) -> i16 {
        ask!(self, 4, Heartbeat, member.heartbeat()).error_code
    }

    fn commit(&self, member: &Member, offsets: &[(i32, i64)]) -> Vec<i16> {
        let told = ask!(self, 9, OffsetCommit, member.commit(offsets));
        let partitions = told.topics.iter().flat_map(|t| &t.partitions);
        partitions.map(|p| p.error_code).collect()
    }

    /// What is committed, of all partitions that have an offset.
    fn committed(&self, group: &str) -> Vec<(i32, i64)> {
        let request = m::OffsetFetchRequest {
            groups: [m::OffsetFetchRequestGroup {
                group_id: text(group),
                topics: None,
                ..Default::default()
            }]
            .into(),
            ..Default::default()
        };
        let told = ask!(self, 9, OffsetFetch, request);
        assert_eq!(told.groups[0].error_code, 0);
        let partitions = told.groups[0].topics.iter().flat_map(|t| &t.partitions);
        partitions
            .map(|p| (p.partition_index, p.committed_offset))
            .collect()
    }

    /// The groups that there are, by name.
    fn listed(&self) -> Vec<String> {
        let listed = ask!(self, 5, ListGroups, m::ListGroupsRequest::default());
        assert_eq!(listed.error_code, 0);
        let names = listed.groups.iter().map(|g| g.group_id.to_string());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    /// The state of a group, and how many members it has.
    fn state(&self, group: &str) -> (String, usize) {
        let request = m::DescribeGroupsRequest {
            groups: [text(group)].into(),
            ..Default::default()
        };
        let told = ask!(self, 5, DescribeGroups, request);
        let group = &told.groups[0];
        assert_eq!(group.error_code, 0);
        (group.group_state.to_string(), group.members.len())
    }
}

/// A member of a group, in one generation.
#[derive(Clone, Debug)]
struct Member {
    group: StrBytes,
    id: StrBytes,
    generation: i32,
}

impl Member {
    fn sync(&self, assignments: &[(&StrBytes, &'static [u8])]) -> m::SyncGroupRequest {
        let one =
            |(member, assignment): &(&StrBytes, &'static [u8])| m::SyncGroupRequestAssignment {
                member_id: (*member).clone(),
                assignment: bytes::Bytes::from_static(assignment),
            };
        m::SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            protocol_type: Some(text("consumer")),
            protocol_name: Some(text("range")),
            assignments: assignments.iter().map(one).collect(),
            ..Default::default()
        }
    }

    fn heartbeat(&self) -> m::HeartbeatRequest {
        m::HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            ..Default::default()
        }
    }

    fn commit(&self, offsets: &[(i32, i64)]) -> m::OffsetCommitRequest {
        let one = |(partition, offset): &(i32, i64)| m::OffsetCommitRequestPartition {
            partition_index: *partition,
            committed_offset: *offset,
            committed_leader_epoch: 0,
            committed_metadata: Some(text("note")),
        };
        m::OffsetCommitRequest {
            group_id: self.group.clone(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            topics: [m::OffsetCommitRequestTopic {
                name: text(TOPIC),
                partitions: offsets.iter().map(one).collect(),
                ..Default::default()
            }]
            .into(),
            ..Default::default()
        }
    }
}

/// The same offsets, for a topic that is named like this.
fn of_topic(mut request: m::OffsetCommitRequest, name: &str, id: Uuid) -> m::OffsetCommitRequest {
    let renamed = |topic: m::OffsetCommitRequestTopic| m::OffsetCommitRequestTopic {
        name: text(name),
        topic_id: id,
        ..topic
    };
    request.topics = request.topics.into_iter().map(renamed).collect();
    request
}

/// A consumer that joins with an assignor.
fn join(group: &str, member_id: &str) -> m::JoinGroupRequest {
    m::JoinGroupRequest {
        group_id: text(group),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        member_id: text(member_id),
        protocol_type: text("consumer"),
        protocols: [m::JoinGroupRequestProtocol {
            name: text("range"),
            metadata: bytes::Bytes::from_static(SUBSCRIPTION),
        }]
        .into(),
        ..Default::default()
    }
}

/// What an administrator commits for a group without members.
fn administrator(group: &str) -> Member {
    Member {
        group: text(group),
        id: StrBytes::default(),
        generation: -1,
    }
}

/// Takes the response out of its variant.
macro_rules! response {
    ($response:expr, $api:ident) => {
        match $response {
            Response::$api(response) => response,
            other => panic!("{other:?}"),
        }
    };
}
use response;

fn config(given: &[(&str, &str)]) -> BrokerConfig {
    let given = given
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    BrokerConfig::new(given).expect("it is valid").0
}
