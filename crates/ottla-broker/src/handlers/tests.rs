//! Handlers in a cluster of three brokers, of which this node is the first: for peers who may do
//! everything and for peers who may do nothing.

mod admin;
mod any_request;
mod denied;
mod groups;
mod leaders;
mod many_partitions;
mod open_files;
mod opening;
mod settings;
mod transactions;

use std::sync::Arc;

use ottla_partition::metadata::controller::{
    Controller, CreateTopics, Decision, NewTopic, Registration,
};
use ottla_partition::metadata::{BrokerEndpoint, SecurityProtocol};
use ottla_partition::{BrokerId, DirectoryId, IncarnationId};
use ottla_protocol::api::{self, Response};
use ottla_protocol::client::Uuid;
use ottla_protocol::{Checked, RequestHeader, StrBytes, encode_request, encode_response};

use super::wire::uuid;
use super::*;
use crate::authorizer::{AllowAll, Authorizer, DenyAll};
use crate::options::{BrokerOptions, Storage};
use crate::running::RunningBroker;
use crate::start::start_blocking;

/// Led by this node: two partitions.
const HERE: &str = "a";
/// Led by the second broker: one partition.
const THERE: &str = "topic-1";

/// The cluster, and one peer of its first broker.
struct Cluster {
    broker: RunningBroker,
    session: Arc<Session>,
}

impl Cluster {
    fn open() -> Self {
        Self::with(Arc::new(AllowAll))
    }

    fn denying() -> Self {
        Self::with(Arc::new(DenyAll))
    }

    fn with(authorizer: Arc<dyn Authorizer>) -> Self {
        let mut options = BrokerOptions::new(Storage::InMemory);
        options.authorizer = authorizer;
        let broker = start_blocking(options).expect("a broker in memory starts");
        let session = Arc::new(Session::in_process());
        // What waits for more to happen is answered at once.
        session.hurry();
        let cluster = Self { broker, session };
        [2, 3].into_iter().for_each(|id| cluster.join(id));
        cluster.create(HERE, &[&[1, 2], &[1, 3]]);
        cluster.create(THERE, &[&[2, 1]]);
        cluster
    }

    fn change<T: Send + 'static>(
        &self,
        decide: impl FnOnce(Controller<'_>) -> Decision<T> + Send + 'static,
    ) -> T {
        let change = self.core().metadata().change(decide);
        let done = self.core().runtime().block_on(change);
        done.expect("a test does not panic").expect("it is durable")
    }

    fn core(&self) -> &Arc<BrokerCore> {
        &self.broker.core
    }

    fn join(&self, id: i32) {
        let node = Registration {
            broker_id: BrokerId::new(id),
            incarnation_id: IncarnationId::from_bytes([id as u8; 16]),
            endpoints: vec![BrokerEndpoint {
                name: "PLAINTEXT".to_owned(),
                host: format!("broker-{id}"),
                port: 9090 + id as u16,
                security_protocol: SecurityProtocol::Plaintext,
            }],
            features: Vec::new(),
            rack: None,
            log_dirs: vec![DirectoryId::from_bytes([id as u8; 16])],
        };
        let epoch = self.change(move |c| c.register_broker(&node, true, false));
        let epoch = epoch.expect("nobody has this id");
        let unfenced = self.change(move |c| c.unfence_broker(BrokerId::new(id), epoch));
        unfenced.expect("the epoch is right");
    }

    fn create(&self, name: &str, replicas: &[&[i32]]) {
        let ids = |ids: &&[i32]| ids.iter().copied().map(BrokerId::new).collect();
        let mut topic = NewTopic::new(name);
        topic.assignments = (0..).zip(replicas.iter().map(ids)).collect();
        let asked = CreateTopics {
            topics: vec![topic],
            validate_only: false,
        };
        let entropy = self.core().entropy();
        let created = self.change(move |c| c.create_topics(&asked, &*entropy));
        assert!(created.iter().all(|t| t.result.is_ok()), "{created:?}");
    }

    fn topic_id(&self, name: &str) -> Uuid {
        let image = self.core().metadata().image();
        image.topic(name).map_or(Uuid::nil(), |t| uuid(t.id))
    }

    /// The answer to `request` as it arrives in `version`, which can be written in that version;
    /// `None` where none is wanted, or the connection's end is the answer.
    fn ask(&self, version: i16, request: impl Into<Request>) -> Option<Response> {
        let (header, request) = over_the_wire(version, &request.into());
        let api = header.api();
        let context = Context {
            core: Arc::clone(self.core()),
            session: Arc::clone(&self.session),
            image: self.core().metadata().image(),
            version,
            client_id: None,
            failed: Failed::default(),
        };
        let answer = self.core().runtime().block_on(async move {
            let mut charge = context.core.budget().charge();
            match handle(context, request, &mut charge).await {
                Reply::Now(outgoing) => Ok(Some(outgoing)),
                Reply::Later(later) => Ok(Some(later.await)),
                Reply::Nothing => Ok(None),
                Reply::Close(why) => Err(why),
            }
        });
        let response = match answer.expect("a handler does not panic") {
            Ok(outgoing) => outgoing?.response,
            // What asks for no answer learns of its failure in no other way.
            Err(_) if api.key == ApiKey::Produce => return None,
            Err(why) => panic!("{} v{version} closes the connection: {why}", api.name()),
        };
        let encoded = encode_response(&header, &response);
        encoded.unwrap_or_else(|e| panic!("{} v{version}: {e}: {response:?}", api.name()));
        Some(response)
    }
}

/// What arrives of `request` in `version`.
fn over_the_wire(version: i16, request: &Request) -> (RequestHeader, Request) {
    let header = RequestHeader {
        api_key: request.key(),
        api_version: version,
        correlation_id: 1,
        client_id: None,
    };
    let frame = encode_request(&header, request).expect("the version can say it");
    let (header, body) = RequestHeader::decode(&frame.slice(4..)).expect("it is a header");
    let request = Checked::new(&header, body).and_then(Checked::decode);
    (header, request.expect("it is a request"))
}

/// Asks and takes the response out of its variant.
macro_rules! ask {
    ($cluster:expr, $version:expr, $api:ident, $request:expr) => {
        match $cluster.ask($version, Request::$api($request)) {
            Some(Response::$api(response)) => response,
            other => panic!("{other:?}"),
        }
    };
}
use ask;

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
