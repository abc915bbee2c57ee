//! An idempotent producer with several requests in flight.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::{TOPIC, gate::Gate, ledger::Ledger, session::Session};
use crate::{
    Error,
    differential::batch::{Batch, Record},
};

/// How many requests are in flight, as many as Kafka remembers of a producer.
const WINDOW: usize = 5;
/// How many records a batch has.
const RECORDS: u64 = 3;
const VERSION: i16 = 9;

/// Error codes that say: try again. NOT_LEADER_OR_FOLLOWER, UNKNOWN_TOPIC_OR_PARTITION.
const TRY_AGAIN: [i64; 2] = [6, 3];

/// A producer's state, which outlives each connection.
struct Writer<'l> {
    ledger: &'l Ledger,
    number: usize,
    partition: i32,
    /// Its id and epoch, once it has them.
    id: Option<(i64, i16)>,
    /// The next value, which is the next sequence, too.
    next: u64,
    /// Sent and not answered: the first value of each batch.
    unanswered: VecDeque<u64>,
}

/// Writes until the run is over.
pub(super) fn write(gate: &Gate, ledger: &Ledger, number: usize, partition: i32) {
    let mut writer = Writer {
        ledger,
        number,
        partition,
        id: None,
        next: 0,
        unanswered: VecDeque::new(),
    };
    let mut last = 0;
    while let Some(opened) = gate.enter(last) {
        last = opened;
        if let Err(error) = writer.connected(gate) {
            ledger.broke(format!("writer {number}: {error}"));
        }
        gate.leave();
    }
}

impl Writer<'_> {
    /// Writes until the connection is closed.
    fn connected(&mut self, gate: &Gate) -> Result<(), Error> {
        // It may be killed by now.
        let Ok(mut session) = Session::open(gate.address()) else {
            return Ok(());
        };
        let (id, epoch) = match self.id {
            Some(id) => id,
            None => match self.identified(&mut session) {
                Ok(Some(id)) => *self.id.insert(id),
                Ok(None) => return Ok(()),
                Err(_) if gate.is_cut() => return Ok(()),
                Err(error) => return Err(error),
            },
        };
        // What has no answer once more, in the same order.
        for first in &self.unanswered {
            session.send("Produce", VERSION, &self.request(*first, id, epoch));
        }
        loop {
            while self.unanswered.len() < WINDOW {
                let request = self.request(self.next, id, epoch);
                self.unanswered.push_back(self.next);
                self.next += RECORDS;
                session.send("Produce", VERSION, &request);
            }
            let Some(answer) = session.receive("Produce", VERSION)? else {
                return Ok(());
            };
            let answer = &answer["responses"][0]["partitionResponses"][0];
            let code = answer["errorCode"].as_i64().unwrap_or(-1);
            if TRY_AGAIN.contains(&code) || (code != 0 && gate.is_cut()) {
                // Everything behind it is refused, too: from the beginning, on the next opening.
                return Ok(());
            }
            let base = answer["baseOffset"].as_i64().unwrap_or(-1);
            if code != 0 || base < 0 {
                return Err(Error::failed(format!("a batch is answered with {answer}")));
            }
            let Some(first) = self.unanswered.pop_front() else {
                return Err(Error::failed("an answer to no request"));
            };
            self.ledger.ack(self.number, first, RECORDS, base);
        }
    }

    fn identified(&self, session: &mut Session) -> Result<Option<(i64, i16)>, Error> {
        let body = json!({"transactionalId": null, "transactionTimeoutMs": 1000});
        let Some(answer) = session.ask("InitProducerId", 4, &body)? else {
            return Ok(None);
        };
        let id = answer["producerId"].as_i64().unwrap_or(-1);
        let epoch = answer["producerEpoch"]
            .as_i64()
            .and_then(|e| e.try_into().ok());
        match (answer["errorCode"].as_i64(), epoch) {
            (Some(0), Some(epoch)) if id >= 0 => Ok(Some((id, epoch))),
            _ => Err(Error::failed(format!("no producer id: {answer}"))),
        }
    }

    fn request(&self, first: u64, id: i64, epoch: i16) -> Value {
        let record = |value| Record::of(format!("{} {value} {}", self.number, ".".repeat(700)));
        let sequence = i32::try_from(first).expect("a run of less than 2 billion records");
        let batch = Batch::of((first..first + RECORDS).map(record));
        let batch = batch.from_producer(id, epoch, sequence);
        json!({"transactionalId": null, "acks": -1, "timeoutMs": 30_000, "topicData": [
            {"name": TOPIC, "partitionData": [
                {"index": self.partition, "records": batch.value()}]}]})
    }
}
