//! One look at one partition of a fetch: what there is to tell now.

use std::sync::Arc;

use ottla_log::vfs::FileRange;
use ottla_log::{AbortedTransaction, BatchSlice, LeaderEpoch, Offset, ReadError};
use ottla_partition::metadata::Topic;
use ottla_partition::partition::{Divergence, ReplicaError, divergence};
use ottla_protocol::ErrorCode;
use tokio::sync::OwnedSemaphorePermit;

use super::session::{FetchSession, Key, TopicKey, Wants};
use crate::authorizer::AclOperation;
use crate::budget::Charge;
use crate::connection::SENDFILE_MIN;
use crate::handlers::wire::epoch;
use crate::handlers::{Context, codes};
use crate::partition::{Partition, View};

/// What a look found.
#[derive(Debug)]
pub(super) enum Look {
    /// There is nothing by that name or id for this client. The fetch waits on for the others.
    Missing(ErrorCode),
    /// The partition cannot be read by this client now. The fetch is answered at once.
    Refused(ErrorCode),
    /// The client's position is not on the leader's history.
    Diverging {
        view: View,
        epoch: LeaderEpoch,
        end: Offset,
    },
    /// What there is.
    Seen(Seen),
}

/// What a readable partition has.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) view: View,
    pub(super) records: Option<FileRange>,
    /// For the file that they are in, if they are not in memory.
    pub(super) file: Option<OwnedSemaphorePermit>,
    /// What of it is charged.
    pub(super) charged: u64,
    /// The aborted transactions among the records, for a reader of committed ones.
    pub(super) aborted: Vec<AbortedTransaction>,
    /// Whether more can be read than that.
    pub(super) more: bool,
}

impl Look {
    /// How many bytes of records.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Seen(seen) => seen.records.as_ref().map_or(0, FileRange::len),
            _ => 0,
        }
    }

    /// What of it is charged.
    pub(super) fn charged(&self) -> u64 {
        match self {
            Self::Seen(seen) => seen.charged,
            _ => 0,
        }
    }

    /// Whether the fetch is answered at once because of it.
    pub(super) fn is_urgent(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Diverging { .. })
    }
}

/// How much a look may read, and up to where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// Bytes that are left for the whole answer.
    pub(super) bytes_left: u64,
    /// No records were read yet: one batch is, however large.
    pub(super) is_first: bool,
    /// Only up to the last stable offset.
    pub(super) committed_only: bool,
}

/// Opens the partitions of `slots` that a restart left unopened, before each is looked at.
pub(super) async fn open_together(context: &Context, session: &FetchSession, slots: &[u32]) {
    let asked = slots.iter().filter_map(|index| {
        let slot = session.slot(*index)?;
        if slot.partition.is_some() {
            return None;
        }
        Some((find(context, &slot.key).ok()?, slot.key.partition))
    });
    context.open_together(asked).await;
}

/// Looks at the slot `index`.
pub(super) async fn look(
    context: &Context,
    session: &mut FetchSession,
    index: u32,
    share: Share,
    charge: &mut Charge,
) -> Option<Look> {
    let slot = session.slot(index)?;
    let (key, wants) = (slot.key.clone(), slot.wants);
    let topic = match find(context, &key) {
        Ok(topic) => topic,
        Err(code) => {
            session.lost(index);
            return Some(Look::Missing(code));
        }
    };
    let known = session.slot(index).and_then(|slot| slot.partition.clone());
    let partition = match known.filter(|p| p.topic_id() == topic.id && !p.is_retired()) {
        Some(partition) => partition,
        None => match context.partition(&topic, key.partition).await {
            Ok(partition) => {
                // Before its ends are looked at: what happens from here on marks the slot.
                session.found(index, &partition);
                partition
            }
            Err(code) => {
                session.lost(index);
                return Some(match code {
                    ErrorCode::UnknownTopicOrPartition => Look::Missing(code),
                    code => Look::Refused(code),
                });
            }
        },
    };
    Some(read(context, &partition, wants, share, charge).await)
}

/// The topic of a slot, if it exists and the client may read it.
fn find(context: &Context, key: &Key) -> Result<Arc<Topic>, ErrorCode> {
    let image = &context.image;
    let (topic, name) = match &key.topic {
        TopicKey::Id(id) => {
            let topic = image.topic_by_id(*id).ok_or(ErrorCode::UnknownTopicId)?;
            (Some(topic), topic.name.as_str())
        }
        TopicKey::Name(name) => (image.topic(name), &**name),
    };
    if !context.allows_topic(AclOperation::Read, name) {
        return Err(ErrorCode::TopicAuthorizationFailed);
    }
    let topic = topic.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if topic.partition(key.partition).is_none() {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    Ok(Arc::clone(topic))
}

async fn read(
    context: &Context,
    partition: &Arc<Partition>,
    wants: Wants,
    share: Share,
    charge: &mut Charge,
) -> Look {
    if let Err(error) = partition.check_leader(epoch(wants.current_leader_epoch)) {
        return Look::Refused(of_replica(&error));
    }
    let view = partition.view();
    let from = Offset::new(wants.offset);
    if let Some(look) = misplaced(partition, view, wants, from) {
        return look;
    }
    let until = match share.committed_only {
        true => view.last_stable,
        false => view.high_watermark,
    };
    let limit = u64::try_from(wants.bytes_max).unwrap_or(0);
    let limit = limit.min(share.bytes_left);
    let nothing = |more| {
        Look::Seen(Seen {
            view,
            records: None,
            file: None,
            charged: 0,
            aborted: Vec::new(),
            more,
        })
    };
    if from >= until {
        return nothing(false);
    }
    if limit == 0 && !share.is_first {
        return nothing(true);
    }
    // What is read is charged once it is known how much that is; before, there must be room.
    charge.room().await;
    let read = slice(context, partition, from, limit, until, share.committed_only).await;
    let (slice, aborted) = match read {
        Ok((slice, _)) if slice.is_empty() || slice.len() > limit && !share.is_first => {
            return nothing(true);
        }
        Ok(read) => read,
        Err(error) => return Look::Refused(failed(partition, &error)),
    };
    let before = charge.bytes();
    if !aborted.is_empty() {
        charge.force(size_of_val(&*aborted) as u64);
    }
    let more = slice.next_offset() < until;
    match records(context, partition, slice, charge).await {
        Ok((records, file)) => Look::Seen(Seen {
            view,
            records: Some(records),
            file,
            charged: charge.bytes() - before,
            aborted,
            more,
        }),
        Err(error) => Look::Refused(failed(partition, &error)),
    }
}

/// What to say of a position that is not in the log, or not on its history.
fn misplaced(partition: &Partition, view: View, wants: Wants, from: Offset) -> Option<Look> {
    let out_of_range = || Some(Look::Refused(ErrorCode::OffsetOutOfRange));
    if let Some(asked) = epoch(wants.last_fetched_epoch) {
        let log = partition.log();
        let history = |epoch| log.end_offset_for_epoch(epoch);
        match divergence(&history, asked, from) {
            Divergence::Unknown => return out_of_range(),
            Divergence::At { .. } if from < view.start => return out_of_range(),
            Divergence::At { epoch, end } => return Some(Look::Diverging { view, epoch, end }),
            Divergence::None => {}
        }
    }
    match from < view.start || from > view.end {
        true => out_of_range(),
        false => None,
    }
}

/// Whole batches from `from` on; from the disk on the blocking pool where they are not in memory.
async fn slice(
    context: &Context,
    partition: &Arc<Partition>,
    from: Offset,
    limit: u64,
    until: Offset,
    committed_only: bool,
) -> Result<(BatchSlice, Vec<AbortedTransaction>), ReadError> {
    let bytes_max = usize::try_from(limit).unwrap_or(usize::MAX);
    if let Some(read) = partition.read_nowait(from, bytes_max, until, committed_only)? {
        return Ok(read);
    }
    let cold = Arc::clone(partition);
    let runtime = context.core.runtime();
    let reading = runtime.spawn_blocking(move || cold.read(from, bytes_max, until, committed_only));
    let read = reading.await;
    read.unwrap_or_else(|panic| Err(panicked(partition, &panic)))
}

fn panicked(partition: &Partition, panic: &dyn std::fmt::Display) -> ReadError {
    tracing::error!(%panic, "a read panicked; this is a bug");
    ReadError::Closed(partition.id().clone())
}

/// The bytes of a slice as they are sent: a range of its file where that is cheaper and there are
/// files left for answers, else in memory. Files stay open for as long as a client takes its time,
/// and a fetch may be of more partitions than there are descriptors.
async fn records(
    context: &Context,
    partition: &Partition,
    slice: BatchSlice,
    charge: &mut Charge,
) -> Result<(FileRange, Option<OwnedSemaphorePermit>), ReadError> {
    let range = slice.file_range()?;
    if matches!(range, FileRange::Chunks(_)) {
        charge.force(range.len());
        return Ok((range, None));
    }
    if range.len() >= SENDFILE_MIN {
        let files = Arc::clone(context.core.answer_files());
        if let Ok(file) = files.try_acquire_owned() {
            return Ok((range, Some(file)));
        }
    }
    charge.grow(range.len()).await;
    let bytes = match slice.bytes_nowait()? {
        Some(bytes) => bytes,
        None => {
            let reading = context.core.runtime().spawn_blocking(move || slice.bytes());
            reading
                .await
                .map_err(|panic| panicked(partition, &panic))??
        }
    };
    Ok((FileRange::Chunks(vec![bytes]), None))
}

fn of_replica(error: &ReplicaError) -> ErrorCode {
    error.code()
}

fn failed(partition: &Partition, error: &ReadError) -> ErrorCode {
    if codes::is_disk_failure(error) {
        tracing::error!(partition = %partition.id(), %error, "a fetch cannot read");
    }
    codes::of_read(error)
}
