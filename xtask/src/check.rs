//! The steps of `cargo xtask check`, in order, and their summary.
#![expect(
    clippy::print_stdout,
    reason = "the summary is for a person and for CI's log"
)]

use std::time::Instant;

use crate::deny;
use crate::step::{Step, cargo, cargo_with};

/// Every step, cheap ones first.
const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "formatting",
        needs: &[],
        run: || cargo(&["fmt", "--all", "--", "--check"]),
    },
    Step {
        name: "style",
        about: "the house rules",
        needs: &["git"],
        run: || cargo(&["test", "-q", "-p", "xtask"]),
    },
    Step {
        name: "clippy",
        about: "lints, warnings are errors",
        needs: &[],
        run: || {
            cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])
        },
    },
    Step {
        name: "docs",
        about: "the API documentation builds without a warning",
        needs: &[],
        run: || {
            cargo_with(
                &["doc", "--workspace", "--no-deps"],
                &[("RUSTDOCFLAGS", "-D warnings")],
            )
        },
    },
    Step {
        name: "test",
        about: "unit, property, crash-point and integration tests",
        needs: &[],
        run: || cargo(&["test", "--workspace", "--no-fail-fast"]),
    },
    Step {
        name: "fuzz",
        about: "whatever a peer or a disk can send, decoded: a bounded run of each target",
        needs: &["c++"],
        run: crate::fuzz::run,
    },
    Step {
        name: "example",
        about: "a user's project outside the workspace",
        needs: &[],
        run: || cargo(&["test", "--manifest-path", "examples/embedded/Cargo.toml"]),
    },
    Step {
        name: "examples",
        about: "tests in Python, Java, Go and Node that start a broker for themselves",
        needs: &["python3", "java", "mvn", "go", "npm"],
        run: crate::examples::other_languages,
    },
    Step {
        name: "package",
        about: "each crate packs as it would be published",
        needs: &[],
        run: || {
            cargo(&[
                "package",
                "--workspace",
                "--allow-dirty",
                "--no-verify",
                "--quiet",
            ])
        },
    },
    Step {
        name: "deny",
        about: "licences, sources and packages of the build",
        needs: &[],
        run: deny::run,
    },
    Step {
        name: "clients",
        about: "real clients against `ottla serve`",
        needs: &["java", "mvn", "go", "python3"],
        run: || crate::runs::with_release(&["clients", "--jobs", "2"]),
    },
    Step {
        name: "hand-over",
        about: "Apache Kafka starts on a data directory of ours and reads it",
        needs: &["java", "mvn"],
        run: || crate::runs::with_release(&["hand-over"]),
    },
    Step {
        name: "kill",
        about: "kill -9 under load, and at system calls where there is strace",
        needs: &[],
        run: || crate::runs::with_release(&["kill", "--cycles", "20"]),
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
    let nothing_skipped = std::env::var("CI").is_ok_and(|v| v == "true");
    let (mut passed, mut failed, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for step in STEPS
        .iter()
        .filter(|s| only.is_empty() || only.contains(&s.name))
    {
        let missing = step.missing();
        if !missing.is_empty() {
            let line = format!("{} (this machine has no {})", step.name, missing.join(", "));
            if nothing_skipped {
                &mut failed
            } else {
                &mut skipped
            }
            .push(line);
            continue;
        }
        println!("\n== {}: {}", step.name, step.about);
        let started = Instant::now();
        let outcome = (step.run)();
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => passed.push(format!("{} {seconds:.0} s", step.name)),
            Err(why) => failed.push(format!("{} {seconds:.0} s: {why}", step.name)),
        }
    }
    println!("\n== summary");
    for (word, steps) in [("ok", &passed), ("FAILED", &failed), ("skipped", &skipped)] {
        for step in steps {
            println!("{word:8} {step}");
        }
    }
    println!(
        "{} passed, {} failed, {} skipped",
        passed.len(),
        failed.len(),
        skipped.len()
    );
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("{} step(s) failed", failed.len()))
    }
}

/// Prints the steps.
pub fn list() {
    for step in STEPS {
        let needs = if step.needs.is_empty() {
            "cargo"
        } else {
            &step.needs.join(", ")
        };
        println!("{:10} {} (needs {needs})", step.name, step.about);
    }
}
