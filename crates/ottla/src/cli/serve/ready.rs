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
    if let Some(cost) = broker.sync_cost().filter(|cost| *cost >= SLOW_SYNC) {
        let ms = cost.as_secs_f64() * 1e3;
        line += &format!(
            "; a sync takes {ms:.1} ms here, and each acks=all waits for one: --flush os does not \
             wait, and survives a kill of the process but not power loss"
        );
    }
    line
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
    let strangers = report.strangers.iter();
    lines.extend(strangers.map(|name| format!("{name:?} is no log; Apache Kafka would refuse it")));
    lines
}
