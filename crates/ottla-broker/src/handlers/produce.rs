//! Produce: appends batches, and answers once they are as safe as the producer asked for.
//!
//! The handler returns when everything is appended. What acks=all waits for is waited for
//! afterwards, while the connection's next requests already take effect.

mod plan;
mod respond;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_log::{
    AppendError, Appended, Codec, Condition, ProduceError, ProduceLimits, Room, ValidBatches,
    parse_produce,
};
use ottla_partition::metadata::is_internal_topic;
use ottla_partition::partition::{Acks, WaiterId};
use ottla_protocol::ErrorCode;
use ottla_protocol::produce::ProduceRequest;

use super::{Context, codes};
use crate::budget::Charge;
use crate::connection::Reply;
use crate::gate::Gate;
use crate::partition::{Partition, Refusal};
use crate::runtime;
use crate::timer::Deadline;

use plan::{Item, Plan};
use respond::respond;

/// The client id under which Kafka's own tools may write to internal topics.
const ADMIN_CLIENT: &str = "__admin_client";
/// From this size on a compressed batch is checked where it keeps no other connection waiting.
const INLINE_COMPRESSED_MAX: usize = 256 * 1024;

/// What became of one partition's batch.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is in the log.
    Appended(Appended),
    /// It is not.
    Refused(Refused),
}

/// Why a batch is not in the log.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: ErrorCode,
    /// What to tell besides, for batches that break a rule.
    pub(crate) message: Option<String>,
    /// Which of its records do, and how.
    pub(crate) records: Vec<(i32, String)>,
    pub(crate) log_start: i64,
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        Self {
            code,
            message: None,
            records: Vec::new(),
            log_start: -1,
        }
    }
}

impl Refused {
    fn invalid(error: &ProduceError, partition: &Partition) -> Self {
        // Kafka names the log's start once it has looked into the batch.
        let is_looked_into = !matches!(
            error,
            ProduceError::NoBatch
                | ProduceError::MoreThanOneBatch
                | ProduceError::Magic(_)
                | ProduceError::ZstdNotAllowed
                | ProduceError::TooLarge { .. }
                | ProduceError::Corrupt(_)
        );
        let records = error.record_errors().iter();
        Self {
            code: codes::of_produce(error),
            message: Some(error.to_string()),
            records: records.map(|e| (e.index, e.message.clone())).collect(),
            log_start: match is_looked_into {
                true => partition.view().start.get(),
                false => -1,
            },
        }
    }
}

pub(crate) async fn handle(
    context: Context,
    request: ProduceRequest,
    charge: &mut Charge,
) -> Reply {
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    let asked = Acks::from_code(request.acks);
    // Takes the request apart: a batch whose memory nobody else holds is given its offsets in
    // place.
    let mut plan = Plan::new(&context, request);
    let Some(acks) = asked else {
        let refuse = |item: &mut Item| item.outcome = Some(refused(ErrorCode::InvalidRequiredAcks));
        plan.items.iter_mut().for_each(refuse);
        return respond(&context, plan.items, None).into();
    };
    let mut pending = Pending {
        gate: Arc::new(Gate::new(plan.items.len())),
        deadline: context.core.timer().after(timeout),
        waiters: Vec::new(),
    };
    let asked = plan.items.iter().filter(|item| item.outcome.is_none());
    let asked = asked.filter_map(|item| Some((item.topic.clone()?, item.index)));
    context.open_together(asked).await;
    for (place, item) in plan.items.iter_mut().enumerate() {
        if item.outcome.is_none() {
            let outcome = append(&context, item, acks, place, &mut pending, charge).await;
            item.outcome = Some(outcome);
        }
    }
    if acks == Acks::None {
        return match plan.items.iter().any(Item::is_refused) {
            true => Reply::Close("a produce request without acks failed; closed as its only sign"),
            false => Reply::Nothing,
        };
    }
    if pending.gate.is_open() {
        return respond(&context, plan.items, Some(&pending.gate)).into();
    }
    Reply::Later(Box::pin(async move {
        pending.done(&context).await;
        respond(&context, plan.items, Some(&pending.gate)).into()
    }))
}

fn refused(code: ErrorCode) -> Outcome {
    Outcome::Refused(code.into())
}

/// Appends one partition's batch; where acks=all is asked for, the gate waits for it from then on.
async fn append(
    context: &Context,
    item: &mut Item,
    acks: Acks,
    place: usize,
    pending: &mut Pending,
    charge: &mut Charge,
) -> Outcome {
    let Some(topic) = item.topic.clone() else {
        return refused(ErrorCode::UnknownTopicOrPartition);
    };
    let admin = context.client_id.as_deref() == Some(ADMIN_CLIENT);
    if is_internal_topic(topic.name.as_str()) && !admin {
        return refused(ErrorCode::InvalidTopicException);
    }
    let partition = match context.partition(&topic, item.index).await {
        Ok(partition) => partition,
        Err(code) => return refused(code),
    };
    let records = item.records.take().unwrap_or_default();
    let batches = match parse(context, topic.name.as_str(), records) {
        Ok(batches) => batches,
        Err(error) => return Outcome::Refused(Refused::invalid(&error, &partition)),
    };
    let is_transactional = |b: &ottla_log::BatchHeader| b.attributes.is_transactional();
    if batches.headers().iter().any(is_transactional) {
        // Nobody can have begun the transaction: transactional ids are refused their producer id.
        return refused(ErrorCode::InvalidProducerIdMapping);
    }
    // What it may decompress to, which is looked into; given back once it is in the log.
    let before = charge.bytes();
    if is_compressed(&batches) {
        let limits = context.core.log_limits();
        let most = limits.decompressed_bytes_max(batches.bytes().len());
        charge.grow(most as u64).await;
    }
    let room = context.core.room(&partition, batches.bytes().len()).await;
    let appended = match room {
        Ok(room) => append_to(&partition, room, batches, acks),
        Err(error) => Err(error.into()),
    };
    charge.shrink_to(before);
    match appended {
        Ok(appended) => {
            if acks == Acks::All {
                pending.wait_for(&partition, &appended, place);
            }
            Outcome::Appended(appended)
        }
        Err(refusal) => {
            if let Some(error) = codes::disk_failure(&refusal)
                && let Some(more) = context.core.complaints().appends.pass()
            {
                let partition = partition.id();
                tracing::error!(%partition, %error, more, "records were refused");
            }
            Outcome::Refused(explain(&partition, &refusal))
        }
    }
}

/// The batch in a partition's bytes, checked as far as its bytes go. Afterwards nobody else holds
/// its memory, unless other partitions' batches came in the same request.
fn parse(context: &Context, topic: &str, records: Bytes) -> Result<ValidBatches, ProduceError> {
    let limits = ProduceLimits {
        zstd_allowed: context.version >= 7,
        max_message_bytes: context.config().max_message_bytes(topic) as usize,
    };
    parse_produce(&records, &limits, context.core.log_limits())
}

fn is_compressed(batches: &ValidBatches) -> bool {
    let mut headers = batches.headers().iter();
    headers.any(|batch| batch.codec() != Some(Codec::None))
}

fn append_to(
    partition: &Partition,
    room: Room,
    batches: ValidBatches,
    acks: Acks,
) -> Result<Appended, Refusal> {
    let any = Condition::Any;
    let large = batches.bytes().len() > INLINE_COMPRESSED_MAX;
    if large && is_compressed(&batches) {
        return runtime::block_in_place(|| partition.append_in(room, any, batches, acks));
    }
    partition.append_in(room, any, batches, acks)
}

fn explain(partition: &Partition, refusal: &Refusal) -> Refused {
    let code = codes::of_refusal(refusal);
    match refusal {
        Refusal::Append(AppendError::Invalid(error)) => Refused::invalid(error, partition),
        Refusal::Append(AppendError::LargerThanSegment { .. }) => code.into(),
        _ => Refused {
            log_start: partition.view().start.get(),
            ..Refused::from(code)
        },
    }
}

/// The acknowledgements that a request still waits for.
#[derive(Debug)]
struct Pending {
    gate: Arc<Gate>,
    deadline: Deadline,
    waiters: Vec<(Arc<Partition>, WaiterId)>,
}

impl Pending {
    fn wait_for(&mut self, partition: &Arc<Partition>, appended: &Appended, place: usize) {
        let (gate, deadline) = (&self.gate, self.deadline);
        let waiter = partition.acknowledge(appended.end, gate, place, deadline);
        self.waiters
            .extend(waiter.map(|waiter| (Arc::clone(partition), waiter)));
    }

    /// Returns when every acknowledgement came, or the time for other brokers' is up. This
    /// broker's own sync is a part of the append, which no client's timeout cuts short.
    async fn done(&self, context: &Context) {
        let waits_for_others = |(partition, _): &(Arc<Partition>, _)| partition.is_replicated();
        if !self.waiters.iter().any(waits_for_others) {
            return self.gate.open().await;
        }
        tokio::select! {
            biased;
            () = self.gate.open() => {}
            () = context.core.timer().until(self.deadline) => {}
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.gate.is_open() {
            for (partition, waiter) in &self.waiters {
                partition.forget(*waiter);
            }
        }
    }
}
