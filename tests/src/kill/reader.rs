//! Reads what a broker has after a kill, and holds it against the ledger.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{GROUP, PARTITIONS, TOPIC, committer, ledger::Ledger, partition_of, session::Session};
use crate::Error;

/// How often a coordinator may say that it is still loading; each is a round trip.
const ATTEMPTS: usize = 10_000;

/// Reads what came since the last time.
pub(super) fn check_new(address: SocketAddr, ledger: &Ledger) -> Result<(), Error> {
    let mut session = Session::open(address)?;
    for partition in 0..PARTITIONS {
        read_on(&mut session, partition, ledger)?;
    }
    ledger.complete()?;
    let committed = committed(&mut session)?;
    ledger.found_commit(committed)
}

/// Reads everything once more, from the beginning.
pub(super) fn check_all(address: SocketAddr, ledger: &Ledger) -> Result<(), Error> {
    ledger.rewind();
    check_new(address, ledger)
}

fn read_on(session: &mut Session, partition: i32, ledger: &Ledger) -> Result<(), Error> {
    let at = usize::try_from(partition).expect("a few partitions");
    loop {
        let from = ledger.position(at);
        let body = json!({"maxWaitMs": 0, "minBytes": 0, "maxBytes": 1 << 20, "topics": [
            {"topic": TOPIC, "partitions": [{"partition": partition, "fetchOffset": from,
                "partitionMaxBytes": 1 << 20}]}]});
        let answer = session.must("Fetch", 12, &body)?;
        let answer = &answer["responses"][0]["partitions"][0];
        if answer["errorCode"] != 0 {
            return Err(Error::failed(format!("a fetch is answered with {answer}")));
        }
        let batches = answer["records"].as_array().map_or(&[][..], Vec::as_slice);
        for batch in batches {
            check_batch(batch, partition, at, ledger)?;
        }
        if ledger.position(at) == from {
            let end = answer["highWatermark"].as_i64();
            if end != Some(from) {
                return Err(Error::failed(format!(
                    "partition {partition} ends at {from}, its high watermark is {end:?}"
                )));
            }
            return Ok(());
        }
    }
}

fn check_batch(batch: &Value, partition: i32, at: usize, ledger: &Ledger) -> Result<(), Error> {
    let (Some(base), Some(records)) = (batch["baseOffset"].as_i64(), batch["records"].as_array())
    else {
        return Err(Error::failed(format!("half a batch: {batch}")));
    };
    let next = ledger.position(at);
    if base != next || batch["crcHolds"] != true {
        return Err(Error::failed(format!(
            "partition {partition} goes on at {base}, not at {next}, or is damaged: {batch}"
        )));
    }
    for (record, offset) in records.iter().zip(base..) {
        let said = record.as_str().and_then(value_of);
        let Some((writer, value)) = said.filter(|(writer, _)| partition_of(*writer) == partition)
        else {
            return Err(Error::failed(format!("nobody wrote {record}, at {offset}")));
        };
        ledger.found(writer, value, offset)?;
    }
    ledger.advance(at, base + records.len() as i64);
    Ok(())
}

/// The writer and its value in `OFFSET TIME null="WRITER VALUE ..."`.
fn value_of(record: &str) -> Option<(usize, u64)> {
    let (_, value) = record.split_once("=\"")?;
    let mut words = value.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// The group's committed offset; -1 for none.
fn committed(session: &mut Session) -> Result<i64, Error> {
    let body = json!({"groups": [{"groupId": GROUP, "topics": [
        {"name": TOPIC, "partitionIndexes": [0]}]}]});
    for _ in 0..ATTEMPTS {
        let answer = session.must("OffsetFetch", 8, &body)?;
        let group = &answer["groups"][0];
        let code = group["errorCode"].as_i64().unwrap_or(-1);
        if committer::TRY_AGAIN.contains(&code) {
            continue;
        }
        let partition = &group["topics"][0]["partitions"][0];
        return match (code, partition["committedOffset"].as_i64()) {
            (0, Some(offset)) if partition["errorCode"] == 0 => Ok(offset),
            _ => Err(Error::failed(format!("no committed offset: {answer}"))),
        };
    }
    Err(Error::failed("the group's coordinator does not come up"))
}
