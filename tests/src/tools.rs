//! What the runs need besides Rust: fetched by package name at a pinned version into `.tools/`.
//!
//! Each package has its folder and, beside it, a stamp with the pins it was made from; while the
//! stamp matches, nothing is started, so that a second run costs nothing.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::Error;

/// The Apache Kafka that answers are compared with, and whose command-line tools are run.
pub const KAFKA_VERSION: &str = "4.3.1";

/// The repository's root.
pub fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("the tests package lies in the repository")
        .to_owned()
}

/// A file or folder of `tests/clients/`.
pub fn client_source(name: &str) -> PathBuf {
    repository().join("tests/clients").join(name)
}

/// The folder with the jars of Apache Kafka's broker and tools.
///
/// # Errors
/// When Java or Maven is not there, or Maven fails.
pub fn kafka() -> Result<PathBuf, Error> {
    jars("kafka-tools", KAFKA_VERSION)
}

/// The folder with the jars of one version of `kafka-clients`.
///
/// # Errors
/// When Java or Maven is not there, or Maven fails.
pub fn kafka_clients(version: &str) -> Result<PathBuf, Error> {
    jars("java", version)
}

fn jars(source: &str, version: &str) -> Result<PathBuf, Error> {
    need(
        "java",
        "install a JDK, 17 or newer (Debian: openjdk-17-jdk-headless)",
    )?;
    let pom = client_source(source).join("pom.xml");
    let target = folder(&format!("{source}-{version}"));
    once(&target, &[&pom], version, || {
        let maven = need("mvn", "install Maven (Debian: maven)")?;
        run(Command::new(maven)
            .args(["--quiet", "--batch-mode", "--file"])
            .arg(&pom)
            .arg("dependency:copy-dependencies")
            .arg(format!("-Dkafka.version={version}"))
            .arg(format!("-DoutputDirectory={}", target.display())))
    })?;
    Ok(target)
}

/// The Python interpreter of a virtual environment that holds `requirements.txt`.
///
/// # Errors
/// When Python or its `venv` module is not there, or pip fails.
pub fn python() -> Result<PathBuf, Error> {
    let requirements = client_source("python/requirements.txt");
    let target = folder("python");
    let interpreter = target.join("bin/python");
    once(&target, &[&requirements], "", || {
        let python = need(
            "python3",
            "install Python 3 with venv (Debian: python3-venv)",
        )?;
        run(Command::new(python).args(["-m", "venv"]).arg(&target))?;
        run(Command::new(&interpreter)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .arg("--requirement")
            .arg(&requirements))
    })?;
    Ok(interpreter)
}

/// The franz-go runner, built.
///
/// # Errors
/// When Go is not there or the build fails.
pub fn franz_go() -> Result<PathBuf, Error> {
    let source = client_source("franz-go");
    let target = folder("franz-go");
    let binary = target.join("scenarios");
    let files = ["go.mod", "go.sum", "main.go"].map(|name| source.join(name));
    once(&target, &files.each_ref().map(PathBuf::as_path), "", || {
        let go = need("go", "install Go, 1.26 or newer")?;
        run(Command::new(go)
            .current_dir(&source)
            .args(["build", "-mod=readonly", "-o"])
            .arg(&binary)
            .arg("."))
    })?;
    Ok(binary)
}

/// kcat, as the distribution packages it; installed when we may.
///
/// # Errors
/// When kcat is not there and cannot be installed.
pub fn kcat() -> Result<PathBuf, Error> {
    if let Some(kcat) = find("kcat") {
        return Ok(kcat);
    }
    let hint = "install kcat (Debian: apt-get install kcat)";
    if rustix::process::geteuid().is_root() && find("apt-get").is_some() {
        let _ = run(Command::new("apt-get").args(["update", "--quiet", "--quiet"]));
        let apt = [
            "install",
            "--yes",
            "--quiet",
            "--quiet",
            "--no-install-recommends",
            "kcat",
        ];
        run(Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(apt))?;
    }
    need("kcat", hint)
}

/// The `ottla` binary under test: `OTTLA_BIN`, or a build of this workspace.
///
/// # Errors
/// When the build fails.
pub fn ottla() -> Result<PathBuf, Error> {
    if let Some(path) = env::var_os("OTTLA_BIN") {
        return Ok(PathBuf::from(path));
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = ["build", "--quiet", "--package", "ottla", "--bin", "ottla"];
    run(Command::new(cargo).current_dir(repository()).args(build))?;
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
    Ok(target.join("debug/ottla"))
}

fn folder(name: &str) -> PathBuf {
    repository().join(".tools").join(name)
}

/// Runs `make` unless `target` was made from the same pins before.
fn once(
    target: &Path,
    inputs: &[&Path],
    version: &str,
    make: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let mut pins = format!("{version}\n");
    for path in inputs {
        pins += &fs::read_to_string(path).map_err(Error::path("read", path))?;
    }
    let mut stamp = target.as_os_str().to_owned();
    stamp.push(".stamp");
    let stamp = PathBuf::from(stamp);
    if fs::read_to_string(&stamp).is_ok_and(|made| made == pins) && target.is_dir() {
        return Ok(());
    }
    if target.exists() {
        fs::remove_dir_all(target).map_err(Error::path("remove", target))?;
    }
    fs::create_dir_all(target).map_err(Error::path("create", target))?;
    make()?;
    fs::write(&stamp, pins).map_err(Error::path("write", &stamp))
}

fn need(program: &str, hint: &str) -> Result<PathBuf, Error> {
    find(program).ok_or_else(|| Error::Missing {
        what: program.to_owned(),
        hint: hint.to_owned(),
    })
}

fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

fn run(command: &mut Command) -> Result<(), Error> {
    let shown = format!("{command:?}");
    let output = command
        .output()
        .map_err(Error::io(format!("start {shown}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    Err(Error::failed(format!(
        "{shown} ended with {}:\n{}",
        output.status,
        text.trim()
    )))
}
