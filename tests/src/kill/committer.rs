//! Commits offsets of a group, one after the other.

use serde_json::json;

use super::{GROUP, TOPIC, gate::Gate, ledger::Ledger, session::Session};
use crate::Error;

/// COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR.
pub(super) const TRY_AGAIN: [i64; 3] = [14, 15, 16];

/// Commits until the run is over.
pub(super) fn commit(gate: &Gate, ledger: &Ledger) {
    let mut last = 0;
    while let Some(opened) = gate.enter(last) {
        last = opened;
        if let Err(error) = connected(gate, ledger) {
            ledger.broke(format!("the committer: {error}"));
        }
        gate.leave();
    }
}

fn connected(gate: &Gate, ledger: &Ledger) -> Result<(), Error> {
    // It may be killed by now.
    let Ok(mut session) = Session::open(gate.address()) else {
        return Ok(());
    };
    loop {
        let offset = ledger.committing();
        let body = json!({"groupId": GROUP, "memberId": "", "topics": [
            {"name": TOPIC, "partitions": [
                {"partitionIndex": 0, "committedOffset": offset, "committedMetadata": ""}]}]});
        let Some(answer) = session.ask("OffsetCommit", 8, &body)? else {
            return Ok(());
        };
        match answer["topics"][0]["partitions"][0]["errorCode"].as_i64() {
            Some(0) => ledger.committed(offset),
            Some(code) if TRY_AGAIN.contains(&code) => {}
            Some(_) if gate.is_cut() => return Ok(()),
            _ => return Err(Error::failed(format!("a commit is answered with {answer}"))),
        }
    }
}
