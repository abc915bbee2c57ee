//! docs/CLIENTS.md: which client did what, as the last complete run against Ottla found it.

use std::fmt::Write as _;

use super::{Client, Outcome, SCENARIOS, Verdict};

const HEAD: &str = "\
# Clients

Real clients that run against `ottla serve` in `cargo xtask check`, each with a broker of its own.
This page is written by `cargo run -p ottla-tests -- clients`; the runners are in `tests/clients/`
and read as examples of use.

In *restart* and *kill* the broker stops while records are on their way and comes back on the same
data. Every record that was acknowledged must then be read at the partition and offset that the
acknowledgement named, and no record twice. In the scenarios of groups every member is a process of
its own. A partition that changes hands must be read on from the last acknowledged commit, also
after the broker was stopped in a rebalance: no commit is lost or goes back.

";

/// The page for the outcomes of all clients.
pub fn page(outcomes: &[(&Client, Outcome)]) -> String {
    let mut page = HEAD.to_owned();
    let mut add = |line: String| {
        let _ = writeln!(page, "{}", line.trim_end());
    };
    add("| client | version | scenarios passed | not available |".to_owned());
    add("|---|---|---|---|".to_owned());
    for (client, outcome) in outcomes {
        let passed = outcome.count(|verdict| *verdict == Verdict::Ok);
        let lacking = outcome.count(|verdict| matches!(verdict, Verdict::NotAvailable(_)));
        let all = outcome.verdicts.len() - lacking;
        let version = &outcome.version;
        add(format!(
            "| {} | {version} | {passed} of {all} | {lacking} |",
            client.title
        ));
    }
    add(String::new());
    let names = outcomes
        .iter()
        .map(|(client, _)| client.name)
        .collect::<Vec<_>>();
    add(format!(
        "| scenario | what happens | {} |",
        names.join(" | ")
    ));
    add(format!("|---|---|{}", "---|".repeat(names.len())));
    for (row, (scenario, meaning)) in SCENARIOS.iter().enumerate() {
        let cells = outcomes
            .iter()
            .map(|(_, outcome)| match &outcome.verdicts[row].1 {
                Verdict::Ok => "ok",
                Verdict::Fail(_) => "FAIL",
                Verdict::NotAvailable(_) => "-",
            });
        let cells = cells.collect::<Vec<_>>().join(" | ");
        add(format!("| {scenario} | {meaning} | {cells} |"));
    }
    add(String::new());
    for (client, outcome) in outcomes {
        for (scenario, verdict) in &outcome.verdicts {
            if let Verdict::NotAvailable(reason) = verdict {
                add(format!("- {}, {scenario}: {reason}", client.name));
            }
        }
    }
    page
}
