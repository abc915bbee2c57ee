//! How long the steps of the check may take on two cores, builds and installs included, and what
//! of that they took. Says so; a machine that is slower or busy fails nothing by it.
#![expect(
    clippy::print_stdout,
    reason = "the comparison is for a person and for CI's log"
)]

use std::time::Duration;

/// For everything together. What takes longer belongs into `cargo xtask nightly`.
const WHOLE: Duration = Duration::from_secs(40 * 60);

/// By step, in seconds. The first step that needs a build has that build in its budget: `clippy`
/// and `test` those of the workspace, `clients` the release build and what its clients install.
const STEPS: &[(&str, u64)] = &[
    ("fmt", 15),
    ("style", 60),
    ("clippy", 180),
    ("docs", 120),
    ("test", 420),
    ("fuzz", 240),
    ("example", 90),
    ("examples", 180),
    ("package", 60),
    ("deny", 30),
    ("goldens", 90),
    ("clients", 720),
    ("hand-over", 60),
    ("kill", 120),
];

/// What the step `name` may take; `None` where nobody said.
#[must_use]
pub fn of(name: &str) -> Option<Duration> {
    let found = STEPS.iter().find(|(step, _)| *step == name);
    found.map(|(_, seconds)| Duration::from_secs(*seconds))
}

/// What the steps took that have run.
#[derive(Debug, Default)]
pub struct Spent(Vec<(&'static str, Duration)>);

impl Spent {
    /// The step `name` took so long.
    pub fn add(&mut self, name: &'static str, took: Duration) {
        self.0.push((name, took));
    }

    /// Prints which steps were over their budgets, and how long all of them took.
    pub fn print(&self) {
        for line in self.lines() {
            println!("{line}");
        }
    }

    fn lines(&self) -> Vec<String> {
        let over = self.0.iter().filter_map(|(name, took)| {
            let budget = of(name).filter(|budget| took > budget)?;
            let (took, budget) = (took.as_secs(), budget.as_secs());
            Some(format!("over     {name}: {took} s of {budget} s"))
        });
        let mut lines: Vec<String> = over.collect();
        let all: Duration = self.0.iter().map(|(_, took)| *took).sum();
        let verdict = if all > WHOLE { "over" } else { "of" };
        lines.push(format!(
            "{:.1} minutes, {verdict} {} minutes",
            all.as_secs_f64() / 60.0,
            WHOLE.as_secs() / 60
        ));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budgets_fit_into_the_whole() {
        let all: u64 = STEPS.iter().map(|(_, seconds)| seconds).sum();
        assert!(Duration::from_secs(all) <= WHOLE, "{all} s");
    }

    #[test]
    fn what_is_over_is_named() {
        let mut spent = Spent::default();
        spent.add("fmt", Duration::from_secs(15));
        assert_eq!(spent.lines(), ["0.2 minutes, of 40 minutes"]);
        spent.add("deny", Duration::from_secs(31));
        spent.add("clients", Duration::from_secs(2400));
        assert_eq!(
            spent.lines(),
            [
                "over     deny: 31 s of 30 s",
                "over     clients: 2400 s of 720 s",
                "40.8 minutes, over 40 minutes",
            ]
        );
    }
}
