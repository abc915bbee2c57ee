//! The examples: projects as a user has them, each with the tools of its language.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::step::{cargo, missing, root, target};

/// One example: its folder, the programs it needs, and how its tests run.
type Example = (
    &'static str,
    &'static [&'static str],
    fn(&Path) -> Result<(), String>,
);

const EXAMPLES: &[Example] = &[
    ("pytest", &["python3"], python),
    ("junit5", &["java", "mvn"], junit),
    ("go", &["go"], go),
    ("node", &["npm"], node),
];

/// Tests that start a broker for themselves, in four languages, over a build of this tree; answers
/// which were left out because this machine lacks a program.
///
/// # Errors
/// Where one fails, or its packages cannot be had.
pub fn other_languages() -> Result<Vec<String>, String> {
    cargo(&["build", "-q", "-p", "ottla"])?;
    let ottla = target().join("debug/ottla");
    let mut left_out = Vec::new();
    for (name, needs, run) in EXAMPLES {
        let missing = missing(needs);
        if missing.is_empty() {
            run(&ottla)?;
        } else {
            left_out.push(format!(
                "{name}: this machine has no {}",
                missing.join(", ")
            ));
        }
    }
    Ok(left_out)
}

fn junit(ottla: &Path) -> Result<(), String> {
    run(ottla, "junit5", Path::new("mvn"), &["-q", "-B", "test"])
}

fn go(ottla: &Path) -> Result<(), String> {
    let test = ["test", "-count=1", "./..."];
    run(ottla, "go", Path::new("go"), &test)
}

fn node(ottla: &Path) -> Result<(), String> {
    let install = ["install", "--no-package-lock", "--no-audit", "--no-fund"];
    run(ottla, "node", Path::new("npm"), &install)?;
    run(ottla, "node", Path::new("npm"), &["test"])
}

fn python(ottla: &Path) -> Result<(), String> {
    let environment = target().join("pytest");
    let interpreter = environment.join("bin/python");
    let folder = environment.to_string_lossy();
    run(
        ottla,
        "pytest",
        Path::new("python3"),
        &["-m", "venv", &*folder],
    )?;
    let install = ["-m", "pip", "install", "-q", "--disable-pip-version-check"];
    let requirements = ["-r", "requirements.txt"];
    run(
        ottla,
        "pytest",
        &interpreter,
        &[&install[..], &requirements].concat(),
    )?;
    let test = ["-m", "pytest", "-q", "-p", "no:cacheprovider"];
    run(ottla, "pytest", &interpreter, &test)
}

/// Runs `program` in the example's folder; its tests start the broker `ottla`.
fn run(ottla: &Path, example: &str, program: &Path, args: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(root().join("examples").join(example))
        .env("OTTLA_BIN", ottla)
        .stdin(Stdio::null());
    let shown = format!(
        "{} {} in examples/{example}",
        program.display(),
        args.join(" ")
    );
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` ended with {status}")),
        Err(e) => Err(format!("`{shown}` cannot be started: {e}")),
    }
}
