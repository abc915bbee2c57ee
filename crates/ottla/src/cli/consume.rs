//! `ottla consume`: the records of a topic, printed.

mod group;
mod member;
mod reconnect;

use std::collections::BTreeMap;
use std::io::Write;

use ottla_log::{BatchHeader, Limits, OwnedRecord, Records, ValidBatches};

use super::args::ConsumeArgs;
use super::client::{Client, ClientError, EARLIEST, Fetched, LATEST, Topic};
use super::record_json::to_json;
use reconnect::Reconnect;

/// Prints records until the ends that the partitions have now, the wanted number, or for ever.
pub(crate) fn run(args: &ConsumeArgs, out: &mut dyn Write) -> Result<(), ClientError> {
    if let Some(group) = &args.group {
        return group::run(args, group, out);
    }
    let mut client = Client::connect(&args.broker.bootstrap_server)?;
    let topic = client.topic(&args.topic, false)?;
    let mut reader = Reader::start(args, &mut client, topic)?;
    let mut reconnect = Reconnect::new();
    while !reader.is_done() {
        match reader.step(&mut client, out).and_then(|()| flush(out)) {
            Ok(()) => reconnect.worked(),
            // What was printed is known: it goes on behind it.
            Err(lost) if args.follow && lost.is_passing() => {
                let address = &args.broker.bootstrap_server;
                reconnect.reconnect(&mut client, address, &lost, || false)?;
                // Others may lead its partitions now.
                if let Ok(topic) = client.topic(&args.topic, false) {
                    reader.topic = topic;
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn flush(out: &mut dyn Write) -> Result<(), ClientError> {
    let doing = "writing records";
    out.flush()
        .map_err(|source| ClientError::Io { doing, source })
}

/// Where a partition's reading is.
#[derive(Clone, Copy, Debug)]
struct Position {
    next: i64,
    /// Where to stop when not following.
    end: i64,
}

struct Reader<'a> {
    args: &'a ConsumeArgs,
    topic: Topic,
    positions: BTreeMap<i32, Position>,
    left: u64,
}

impl<'a> Reader<'a> {
    fn start(
        args: &'a ConsumeArgs,
        client: &mut Client,
        topic: Topic,
    ) -> Result<Self, ClientError> {
        let numbers: Vec<i32> = match args.partition {
            Some(number) if topic.partitions.iter().any(|p| p.number == number) => vec![number],
            Some(partition) => {
                return Err(ClientError::NoPartition {
                    topic: topic.name,
                    partition,
                });
            }
            None => topic.partitions.iter().map(|p| p.number).collect(),
        };
        let mut positions = BTreeMap::new();
        for number in numbers {
            let ends = Ends::of(args, client, &topic, number)?;
            let next = start_offset(args, client, &topic, number, ends)?;
            let end = ends.end;
            positions.insert(number, Position { next, end });
        }
        Ok(Self {
            args,
            topic,
            positions,
            left: args.max.unwrap_or(u64::MAX),
        })
    }

    /// The offset to read next in each partition.
    fn progress(&self) -> BTreeMap<i32, i64> {
        let positions = self.positions.iter();
        positions.map(|(number, p)| (*number, p.next)).collect()
    }

    fn is_done(&self) -> bool {
        let at_end = !self.args.follow && self.positions.values().all(|p| p.next >= p.end);
        at_end || self.left == 0
    }

    /// One fetch from each broker that leads a partition with something left.
    fn step(&mut self, client: &mut Client, out: &mut dyn Write) -> Result<(), ClientError> {
        let mut by_broker: BTreeMap<i32, Vec<(i32, i64)>> = BTreeMap::new();
        for info in &self.topic.partitions {
            let Some(position) = self.positions.get(&info.number) else {
                continue;
            };
            if self.args.follow || position.next < position.end {
                by_broker
                    .entry(info.leader)
                    .or_default()
                    .push((info.number, position.next));
            }
        }
        for (broker, wanted) in by_broker {
            let committed = self.args.read_committed;
            for fetched in client.fetch(&self.topic, broker, &wanted, committed)? {
                self.print_all(&fetched, out)?;
            }
        }
        Ok(())
    }

    fn print_all(&mut self, fetched: &Fetched, out: &mut dyn Write) -> Result<(), ClientError> {
        let Some(position) = self.positions.get_mut(&fetched.partition) else {
            return Ok(());
        };
        if fetched.records.is_empty() {
            // At its end, while another partition had something.
            return Ok(());
        }
        let fail = |e: &dyn std::fmt::Display| {
            ClientError::Input(format!(
                "partition {} holds bad bytes: {e}",
                fetched.partition
            ))
        };
        let mut aborted = Aborted::new(&fetched.aborted);
        let limits = Limits::default();
        // The last batch may be cut off: a fetch answers byte ranges.
        let batches = ValidBatches::parse_whole(&fetched.records, &limits).map_err(|e| fail(&e))?;
        for (header, bytes) in batches.batches() {
            if aborted.hides(header) {
                position.next = position.next.max(header.next_offset().get());
                continue;
            }
            for record in Records::open(header, &bytes, &limits).map_err(|e| fail(&e))? {
                let record = record.map_err(|e| fail(&e))?;
                let offset = record.offset.get();
                if offset < position.next {
                    continue;
                }
                // A position never passes a record that was not printed: a group commits it.
                if self.left == 0 {
                    return Ok(());
                }
                if !self.args.follow && offset >= position.end {
                    position.next = position.end;
                    return Ok(());
                }
                print(self.args, &self.topic.name, fetched.partition, &record, out)?;
                self.left -= 1;
                position.next = offset + 1;
            }
            position.next = position.next.max(header.next_offset().get());
        }
        Ok(())
    }
}

/// The transactions whose records are to be left out (KIP-98).
struct Aborted {
    /// Producer ids and first offsets, the earliest last.
    ahead: Vec<(i64, i64)>,
    open: Vec<i64>,
}

impl Aborted {
    fn new(list: &[(i64, i64)]) -> Self {
        let mut ahead = list.to_vec();
        ahead.sort_by_key(|(_, first)| std::cmp::Reverse(*first));
        Self {
            ahead,
            open: Vec::new(),
        }
    }

    fn hides(&mut self, header: &BatchHeader) -> bool {
        let producer = header.producer_id.get();
        while self
            .ahead
            .last()
            .is_some_and(|(_, first)| *first <= header.last_offset().get())
        {
            self.open
                .extend(self.ahead.pop().map(|(producer, _)| producer));
        }
        if header.attributes.is_control() {
            self.open.retain(|p| *p != producer);
            return true;
        }
        header.attributes.is_transactional() && self.open.contains(&producer)
    }
}

/// What a partition has.
#[derive(Clone, Copy, Debug)]
struct Ends {
    first: i64,
    end: i64,
}

impl Ends {
    fn of(
        args: &ConsumeArgs,
        client: &mut Client,
        topic: &Topic,
        partition: i32,
    ) -> Result<Self, ClientError> {
        let mut at = |time| client.offset(topic, partition, time, args.read_committed);
        Ok(Self {
            first: at(EARLIEST)?,
            end: at(LATEST)?,
        })
    }
}

/// Where `--from` is in a partition. An offset that it does not have is refused, also where nothing
/// would be waited for.
fn start_offset(
    args: &ConsumeArgs,
    client: &mut Client,
    topic: &Topic,
    partition: i32,
    ends: Ends,
) -> Result<i64, ClientError> {
    let Ends { first, end } = ends;
    let text = match args.from.as_str() {
        "beginning" => return Ok(first),
        "end" => return Ok(end),
        text => text,
    };
    let wrong = || {
        let text = format!("{text:?} is neither beginning, end, an offset nor @TIME");
        ClientError::Input(text)
    };
    if let Some(time) = text.strip_prefix('@') {
        let time: i64 = time.parse().map_err(|_| wrong())?;
        let found = client.offset(topic, partition, time.max(0), args.read_committed)?;
        return Ok(if found < 0 { end } else { found });
    }
    let offset: i64 = text.parse().map_err(|_| wrong())?;
    if (first..=end).contains(&offset) {
        return Ok(offset);
    }
    let name = &topic.name;
    Err(ClientError::Input(format!(
        "{name}-{partition} has offsets from {first}, and its next record gets {end}: there is no \
         {offset} to read from; choose one of these, beginning or end, and with more partitions \
         one of them (--partition)"
    )))
}

fn print(
    args: &ConsumeArgs,
    topic: &str,
    partition: i32,
    record: &OwnedRecord,
    out: &mut dyn Write,
) -> Result<(), ClientError> {
    let mut line: Vec<u8> = Vec::new();
    if args.json {
        line = to_json(topic, partition, record).to_string().into_bytes();
    } else {
        if args.offsets {
            line.extend(format!("{partition}\t{}\t", record.offset).bytes());
        }
        if args.headers {
            let header = |h: &ottla_log::Header| {
                let value = h
                    .value
                    .as_deref()
                    .map(String::from_utf8_lossy)
                    .unwrap_or_default();
                format!("{}={value}", h.key_text())
            };
            let headers: Vec<String> = record.headers.iter().map(header).collect();
            line.extend(headers.join(",").bytes());
            line.push(b'\t');
        }
        if args.keys {
            line.extend(record.key.iter().flatten());
            line.push(b'\t');
        }
        line.extend(record.value.iter().flatten());
    }
    line.push(b'\n');
    out.write_all(&line).map_err(|source| ClientError::Io {
        doing: "writing records",
        source,
    })
}
