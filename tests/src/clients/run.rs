//! Runs clients side by side and tells a person how they did.
//!
//! The last lines are a summary of every failure, because a log of CI is read from its end.
#![expect(clippy::print_stdout, reason = "a run tells a person what it does")]

use std::{
    env, fs,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use super::{CLIENTS, Client, Outcome, Verdict, report};
use crate::{Error, broker::Kind, tools};

/// How many of a failed runner's other lines are shown: the last ones.
const REMARKS_MAX: usize = 60;

/// One client's end.
type Run = (&'static Client, Result<Outcome, Error>);

/// Runs the clients that `only` begins the names of, all when it is empty, `jobs` at a time. A
/// client whose tools this machine lacks is skipped, unless `CI=true`. A complete run against
/// Ottla writes docs/CLIENTS.md, and with `CI=true` fails where that changes it.
///
/// # Errors
/// When no client ran or the page cannot be written.
pub fn all(against: Kind, only: &[String], jobs: usize) -> Result<bool, Error> {
    let begins = |client: &Client| only.iter().any(|name| client.name.starts_with(&**name));
    let wanted: Vec<&Client> = CLIENTS
        .iter()
        .filter(|client| only.is_empty() || begins(client))
        .collect();
    // All before the first runs: a compiler at work starves members whose sessions are short. What
    // fails here fails there again, and is told of.
    for client in &wanted {
        let _ = client.install();
    }
    let runs = side_by_side(&wanted, against, jobs.max(1));
    let strict = env::var("CI").is_ok_and(|value| value == "true");
    let mut failures = Vec::new();
    let mut outcomes = Vec::new();
    let mut skipped = Vec::new();
    for (client, result) in runs {
        match result {
            Ok(outcome) => {
                failures.extend(by_reason(client, &outcome));
                outcomes.push((client, outcome));
            }
            Err(missing @ Error::Missing { .. }) if !strict => {
                skipped.push(format!("{}: {missing}", client.name));
            }
            Err(error) => failures.push(format!("{}: {error}", client.name)),
        }
    }
    if wanted.is_empty() {
        return Err(Error::failed("no client has such a name"));
    }
    if against == Kind::Ottla && outcomes.len() == CLIENTS.len() {
        failures.extend(keep(&report::page(&outcomes), strict)?);
    }
    summary(&outcomes, &failures);
    for line in &skipped {
        tools::left_out(line)?;
    }
    Ok(failures.is_empty())
}

/// Writes docs/CLIENTS.md. With `strict`, a page that said otherwise is a failure: what is
/// committed is what a run found.
fn keep(page: &str, strict: bool) -> Result<Option<String>, Error> {
    let path = tools::repository().join("docs/CLIENTS.md");
    let before = fs::read_to_string(&path).unwrap_or_default();
    let Some(line) = first_difference(&before, page) else {
        return Ok(None);
    };
    fs::write(&path, page).map_err(Error::path("write", &path))?;
    let told = format!("docs/CLIENTS.md was not what this run found, from line {line} on");
    println!("{told}; it is now");
    Ok(strict.then(|| format!("{told}; commit what it wrote")))
}

/// The number of the first line that differs.
fn first_difference(before: &str, after: &str) -> Option<usize> {
    if before == after {
        return None;
    }
    let alike = before
        .lines()
        .zip(after.lines())
        .take_while(|(a, b)| a == b);
    Some(alike.count() + 1)
}

/// The clients' ends in the order of `clients`; each is told of as soon as it is there.
fn side_by_side(clients: &[&'static Client], against: Kind, jobs: usize) -> Vec<Run> {
    let next = AtomicUsize::new(0);
    let runs = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(client) = clients.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let started = Instant::now();
                    let result = client.run(against);
                    let mut runs = runs.lock().unwrap_or_else(PoisonError::into_inner);
                    tell(client, &result, started, against);
                    runs.push((*client, result));
                }
            });
        }
    });
    let mut runs = runs.into_inner().unwrap_or_else(PoisonError::into_inner);
    runs.sort_by_key(|(client, _)| clients.iter().position(|known| known.name == client.name));
    runs
}

fn tell(client: &Client, result: &Result<Outcome, Error>, started: Instant, against: Kind) {
    match result {
        Ok(outcome) => {
            let seconds = started.elapsed().as_secs();
            let version = &outcome.version;
            println!(
                "{} ({version}) against {against}, {seconds} s",
                client.title
            );
            show(outcome);
        }
        Err(missing @ Error::Missing { .. }) => println!("{}: skipped: {missing}", client.title),
        Err(error) => println!("{}: {error}", client.title),
    }
}

fn show(outcome: &Outcome) {
    for (name, verdict) in &outcome.verdicts {
        match verdict {
            Verdict::Ok => println!("  ok   {name}"),
            Verdict::Fail(reason) => println!("  FAIL {name}: {reason}"),
            Verdict::NotAvailable(reason) => println!("  n/a  {name}: {reason}"),
        }
    }
    if outcome.failures().next().is_some() {
        let skipped = outcome.remarks.len().saturating_sub(REMARKS_MAX);
        if skipped > 0 {
            println!("  | ({skipped} earlier lines)");
        }
        let remarks = outcome.remarks.iter().skip(skipped);
        remarks.for_each(|remark| println!("  | {remark}"));
    }
}

/// One line for each client, then one for each failure.
fn summary(outcomes: &[(&Client, Outcome)], failures: &[String]) {
    println!("clients:");
    for (client, outcome) in outcomes {
        let passed = outcome.count(|verdict| *verdict == Verdict::Ok);
        let lacking = outcome.count(|verdict| matches!(verdict, Verdict::NotAvailable(_)));
        let failed = outcome.failures().count();
        let name = client.name;
        println!("  {name:14} {passed} ok, {lacking} n/a, {failed} failed");
    }
    for failure in failures {
        println!("FAILED: {}", short(failure));
    }
}

/// The failures of a client, those with the same reason together.
fn by_reason(client: &Client, outcome: &Outcome) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, reason) in outcome.failures() {
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, names)) => names.push(name),
            None => reasons.push((reason, vec![name])),
        }
    }
    let line = |(reason, names): (&str, Vec<&str>)| match names[..] {
        [first, .., last] => {
            let count = names.len();
            format!(
                "{} {first} to {last} ({count} in all): {reason}",
                client.name
            )
        }
        _ => format!("{} {}: {reason}", client.name, names.concat()),
    };
    reasons.into_iter().map(line).collect()
}

/// A failure on one line; the whole of it stands above.
fn short(failure: &str) -> String {
    let line = failure.lines().next().unwrap_or_default();
    line.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn a_page_that_changed_is_told_by_its_line() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\n", "a\nb\n"), Some(2));
        assert_eq!(first_difference("", "a\n"), Some(1));
        assert_eq!(first_difference("a", "a\n"), Some(2));
    }
}
