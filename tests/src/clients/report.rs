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

const OWN: &str = "\
## Beside the list

What tools and applications do that no library has; what else an operator does with Java and the
tools; and Java's reading of transactions, which Ottla's log writes for it. A broker that stops
under an application comes back on the same data; the application goes on by itself.
";

/// The page for the outcomes of all clients.
pub fn page(outcomes: &[(&Client, Outcome)]) -> String {
    let mut lines = vec![
        "| client | version | scenarios passed | not available |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    lines.extend(outcomes.iter().map(summary));
    lines.push(String::new());
    let libraries = outcomes.iter().filter(|(client, _)| client.is_library);
    lines.extend(shared(&libraries.collect::<Vec<_>>()));
    lines.push(String::new());
    lines.extend(outcomes.iter().flat_map(lacking));
    lines.push(String::new());
    lines.extend(OWN.lines().map(str::to_owned));
    lines.push(String::new());
    lines.push("| | scenario | what happens | |".to_owned());
    lines.push("|---|---|---|---|".to_owned());
    lines.extend(outcomes.iter().flat_map(own));
    let mut page = HEAD.to_owned();
    for line in lines {
        let _ = writeln!(page, "{}", line.trim_end());
    }
    page
}

fn summary((client, outcome): &(&Client, Outcome)) -> String {
    let passed = outcome.count(|verdict| *verdict == Verdict::Ok);
    let lacking = outcome.count(|verdict| matches!(verdict, Verdict::NotAvailable(_)));
    let all = outcome.verdicts.len() - lacking;
    let (title, version) = (client.title, &outcome.version);
    format!("| {title} | {version} | {passed} of {all} | {lacking} |")
}

/// The table of the scenarios that all libraries run, one column each.
fn shared(libraries: &[&(&Client, Outcome)]) -> Vec<String> {
    let names: Vec<&str> = libraries.iter().map(|(client, _)| client.name).collect();
    let mut lines = vec![
        format!("| scenario | what happens | {} |", names.join(" | ")),
        format!("|---|---|{}", "---|".repeat(names.len())),
    ];
    for (row, (scenario, meaning)) in SCENARIOS.iter().enumerate() {
        let cells = libraries
            .iter()
            .map(|(_, outcome)| cell(&outcome.verdicts[row].1));
        let cells = cells.collect::<Vec<_>>().join(" | ");
        lines.push(format!("| {scenario} | {meaning} | {cells} |"));
    }
    lines
}

fn lacking((client, outcome): &(&Client, Outcome)) -> Vec<String> {
    let reasons = outcome.verdicts.iter().filter_map(|(scenario, verdict)| {
        let Verdict::NotAvailable(reason) = verdict else {
            return None;
        };
        Some(format!("- {}, {scenario}: {reason}", client.name))
    });
    let parts = outcome.parts.iter();
    let parts = parts.map(|(scenario, reason)| format!("- {}, {scenario}: {reason}", client.name));
    reasons.chain(parts).collect()
}

/// A client's own scenarios: the last ones of its list.
fn own((client, outcome): &(&Client, Outcome)) -> Vec<String> {
    let first = outcome.verdicts.len() - client.own.len();
    let rows = client.own.iter().zip(&outcome.verdicts[first..]);
    let rows = rows.map(|((scenario, meaning), (_, verdict))| {
        let (name, cell) = (client.name, cell(verdict));
        format!("| {name} | {scenario} | {meaning} | {cell} |")
    });
    rows.collect()
}

fn cell(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Fail(_) => "FAIL",
        Verdict::NotAvailable(_) => "-",
    }
}
