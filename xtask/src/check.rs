//! The steps of `cargo xtask check`, in order, and their summary.
#![expect(
    clippy::print_stdout,
    reason = "the summary is for a person and for CI's log"
)]

use std::time::Instant;

use crate::budget::Spent;
use crate::deny;
use crate::step::{Run, Step, cargo, cargo_with};

/// The groups of kept answers that a check asks a real Kafka for, some ten seconds each: one of
/// each kind of request.
const GOLDENS_SAMPLE: &[&str] = &[
    "produce-accepted",
    "fetch-errors",
    "create-topics-refused",
    "incremental-alter-configs",
    "offset-commit-fenced",
];

/// Every step, cheap ones first.
const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "formatting",
        needs: &[],
        run: Run::Whole(|| cargo(&["fmt", "--all", "--", "--check"])),
    },
    Step {
        name: "style",
        about: "the house rules",
        needs: &["git"],
        run: Run::Whole(|| cargo(&["test", "-q", "-p", "xtask"])),
    },
    Step {
        name: "clippy",
        about: "lints, warnings are errors",
        needs: &[],
        run: Run::Whole(|| {
            cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])
        }),
    },
    Step {
        name: "docs",
        about: "the API documentation builds without a warning",
        needs: &[],
        run: Run::Whole(|| {
            cargo_with(
                &["doc", "--workspace", "--no-deps"],
                &[("RUSTDOCFLAGS", "-D warnings")],
            )
        }),
    },
    Step {
        name: "test",
        about: "unit, property, crash-point and integration tests",
        needs: &[],
        run: Run::Whole(|| cargo(&["test", "--workspace", "--no-fail-fast"])),
    },
    Step {
        name: "fuzz",
        about: "whatever a peer or a disk can send, decoded: a bounded run of each target",
        needs: &["c++"],
        run: Run::Whole(crate::fuzz::run),
    },
    Step {
        name: "example",
        about: "a user's project outside the workspace",
        needs: &[],
        run: Run::Whole(|| cargo(&["test", "--manifest-path", "examples/embedded/Cargo.toml"])),
    },
    Step {
        name: "examples",
        about: "tests in Python, Java, Go and Node that start a broker for themselves",
        needs: &[],
        run: Run::Parts(crate::examples::other_languages),
    },
    Step {
        name: "package",
        about: "each crate packs as it would be published",
        needs: &[],
        run: Run::Whole(|| {
            cargo(&[
                "package",
                "--workspace",
                "--allow-dirty",
                "--no-verify",
                "--quiet",
            ])
        }),
    },
    Step {
        name: "deny",
        about: "licences, sources and packages of the build",
        needs: &[],
        run: Run::Whole(deny::run),
    },
    Step {
        name: "goldens",
        about: "Apache Kafka still answers some of the kept requests as it did; nightly asks all",
        needs: &["java", "mvn"],
        run: Run::Whole(|| crate::runs::against_kafka(GOLDENS_SAMPLE)),
    },
    Step {
        name: "clients",
        about: "real clients against `ottla serve`",
        needs: &[],
        run: Run::Parts(|| crate::runs::parts_with_release(&["clients", "--jobs", "2"])),
    },
    Step {
        name: "hand-over",
        about: "Apache Kafka starts on a data directory of ours and reads it",
        needs: &["java", "mvn"],
        run: Run::Whole(|| crate::runs::with_release(&["hand-over"])),
    },
    Step {
        name: "kill",
        about: "kill -9 under load, and at system calls where there is strace",
        needs: &[],
        run: Run::Parts(|| crate::runs::parts_with_release(&["kill", "--cycles", "20"])),
    },
];

/// Runs the steps named in `only`, or all of them, and prints the summary.
///
/// # Errors
/// Where a step failed, a name is unknown, or, with `CI=true`, a step had to be skipped.
pub fn run(only: &[&str]) -> Result<(), String> {
    if let Some(unknown) = only
        .iter()
        .find(|name| !STEPS.iter().any(|s| s.name == **name))
    {
        return Err(format!(
            "no step is called {unknown:?}; `cargo xtask steps` lists them"
        ));
    }
    let strict = is_strict();
    let (mut passed, mut failed, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    let mut spent = Spent::default();
    for step in STEPS
        .iter()
        .filter(|s| only.is_empty() || only.contains(&s.name))
    {
        let missing = step.missing();
        let mut left_out = Vec::new();
        if missing.is_empty() {
            println!("\n== {}: {}", step.name, step.about);
            let started = Instant::now();
            let outcome = step.run.run();
            spent.add(step.name, started.elapsed());
            let seconds = started.elapsed().as_secs_f64();
            match outcome {
                Ok(parts) => {
                    passed.push(format!("{} {seconds:.0} s", step.name));
                    left_out = parts;
                }
                Err(why) => failed.push(format!("{} {seconds:.0} s: {why}", step.name)),
            }
        } else {
            left_out.push(format!("this machine has no {}", missing.join(", ")));
        }
        let list = if strict { &mut failed } else { &mut skipped };
        list.extend(left_out.iter().map(|why| format!("{}: {why}", step.name)));
    }
    println!("\n== summary");
    for (word, steps) in [("ok", &passed), ("FAILED", &failed), ("skipped", &skipped)] {
        for step in steps {
            println!("{word:8} {step}");
        }
    }
    spent.print();
    println!(
        "{} passed, {} failed, {} skipped",
        passed.len(),
        failed.len(),
        skipped.len()
    );
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("{} failed", failed.len()))
    }
}

/// Whether nothing may be left out.
fn is_strict() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Prints the steps.
pub fn list() {
    for step in STEPS {
        let needs = match (&step.run, step.needs) {
            (Run::Parts(_), []) => "cargo; what lacks its tools is left out and named",
            (Run::Whole(_), []) => "cargo",
            (_, needs) => &needs.join(", "),
        };
        println!("{:10} {} (needs {needs})", step.name, step.about);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget;

    #[test]
    fn every_step_has_a_budget() {
        for step in STEPS {
            assert!(budget::of(step.name).is_some(), "{}", step.name);
        }
    }
}
