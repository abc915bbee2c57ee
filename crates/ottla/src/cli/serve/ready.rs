//! What `serve` says once it is ready, and what a recovery found.

use std::io::{self, Write};
use std::time::Duration;

use ottla_broker::{ListenerInfo, RunningBroker};
use ottla_log::{FlushMode, RecoveryReport};
use serde_json::json;

/// From here on a sync is worth a word: an acks=all answer waits for one.
const SLOW_SYNC: Duration = Duration::from_millis(2);

/// Prints the ready line.
pub(super) fn announce(
    broker: &RunningBroker,
    as_json: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    if as_json {
        let listener = |l: &ListenerInfo| {
            // Without one that holds for everyone there is none to name.
            let advertised = (!l.advertises_reached).then_some(&l.advertised);
            json!({"name": l.name, "address": l.addresses.first(), "addresses": l.addresses,
                   "advertised": advertised, "advertisesReached": l.advertises_reached})
        };
        let listeners: Vec<_> = broker.listeners().iter().map(listener).collect();
        let line = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "nodeId": broker.node_id(),
            "clusterId": broker.cluster_id(),
            "listeners": listeners,
            "data": broker.dir(),
            "flush": if broker.flush() == FlushMode::Sync { "sync" } else { "os" },
            "acksAllSurvives": survives(broker),
            "syncMilliseconds": broker.sync_cost().map(|cost| cost.as_secs_f64() * 1e3),
        });
        writeln!(out, "{line}")?;
    } else {
        writeln!(out, "{}", line(broker))?;
    }
    out.flush()
}

fn line(broker: &RunningBroker) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let listener = |l: &ListenerInfo| {
        let bound: Vec<String> = l.addresses.iter().map(ToString::to_string).collect();
        let bound = bound.join(", ");
        if l.advertises_reached {
            format!("{bound} (clients are told the address that they came in on)")
        } else if bound == l.advertised {
            bound
        } else {
            format!("{} ({bound})", l.advertised)
        }
    };
    let listeners: Vec<String> = broker.listeners().iter().map(listener).collect();
    let data = match broker.dir() {
        Some(dir) => format!("data in {}", dir.display()),
        None => "in memory".to_owned(),
    };
    let promise = survives(broker);
    let listeners = listeners.join(", ");
    let mut line =
        format!("ottla {version} ready on {listeners}; {data}; acks=all survives {promise}");
    line.extend(broker.sync_cost().and_then(slow_sync));
    line
}

/// What to say of a disk that takes `cost` for a sync: nothing where that is little.
fn slow_sync(cost: Duration) -> Option<String> {
    let ms = cost.as_secs_f64() * 1e3;
    (cost >= SLOW_SYNC).then(|| {
        format!(
            "; a sync takes {ms:.1} ms here, and each acks=all waits for one: --flush os does not \
             wait, and survives a kill of the process but not power loss"
        )
    })
}

fn survives(broker: &RunningBroker) -> &'static str {
    match (broker.dir(), broker.flush()) {
        (None, _) => "nothing: it is gone when the broker stops",
        (Some(_), FlushMode::Sync) => "power loss",
        (Some(_), FlushMode::Os) => "a kill of the process, not power loss",
    }
}

/// A line for everything that the open found wrong or could not do. What was done to a log is told
/// by the log, also where it is opened later.
pub(super) fn recovered(report: &RecoveryReport) -> Vec<String> {
    let mut lines = Vec::new();
    let missing = report.missing.iter();
    lines.extend(missing.map(|id| format!("{id} holds data, but its directory is missing")));
    lines.extend(
        report
            .problems
            .iter()
            .map(|(id, why)| format!("{id}: {why}")),
    );
    lines.extend(report.unreadable.iter().cloned());
    let strangers = report.strangers.iter();
    lines.extend(strangers.map(|name| format!("{name:?} is no log; Apache Kafka would refuse it")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_read_is_told() {
        let mut report = RecoveryReport::default();
        assert_eq!(recovered(&report), [""; 0]);
        report.unreadable.push("\"journal-0\", byte 8: bad".into());
        let said = recovered(&report).concat();
        assert!(said.contains("\"journal-0\", byte 8: bad"), "{said}");
    }

    #[test]
    fn a_slow_disk_is_told_with_the_trade() {
        assert_eq!(slow_sync(Duration::from_micros(1_999)), None);
        let said = slow_sync(Duration::from_micros(4_260)).unwrap();
        for word in [
            "a sync takes 4.3 ms here",
            "each acks=all waits for one",
            "--flush os",
            "survives a kill of the process but not power loss",
        ] {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}
