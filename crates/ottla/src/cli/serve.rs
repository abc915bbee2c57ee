//! `ottla serve`: a broker until it is told to stop.

mod ending;
mod ready;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use ottla_broker::{
    AdvertiseSpec, BrokerOptions, InvalidSettings, ListenerSpec, RequestLine, RequestTrace,
    RunningBroker, Settings, Storage, listener_problems, start_blocking,
};
use ottla_log::FlushMode;
use ottla_log::vfs::RealVfs;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use super::args::{Flush, ServeArgs};
use ending::{Ending, Reason};

/// Kafka's port.
const PORT_DEFAULT: u16 = 9092;
/// Where the data is, if nobody says.
const DATA_DEFAULT: &str = "ottla-data";
/// The variable that filters what is logged.
const LOG_VARIABLE: &str = "OTTLA_LOG";

/// Runs the broker.
pub(crate) fn run(args: &ServeArgs) -> ExitCode {
    tracing_subscriber::registry()
        .with(fmt::layer().with_writer(io::stderr))
        .with(log_filter())
        .init();
    match serve(args) {
        Ok(code) => code,
        Err(error) => {
            tell(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// What is logged. A filter that makes no sense is told of and not heeded: the broker is worth
/// more than its log.
fn log_filter() -> Targets {
    let default = || Targets::new().with_default(LevelFilter::WARN);
    let Some(given) = std::env::var_os(LOG_VARIABLE).filter(|given| !given.is_empty()) else {
        return default();
    };
    let text = given.to_str().ok_or_else(|| "it is not UTF-8".to_owned());
    let filter = text.and_then(|text| text.parse::<Targets>().map_err(|e| e.to_string()));
    filter.unwrap_or_else(|why| {
        tell(&format!(
            "{LOG_VARIABLE}={given:?} is no filter ({why}); write error, warn, info, debug, or \
             module=level; logging warn"
        ));
        default()
    })
}

/// A line on standard error. Who closed or filled it is not told, and nothing else changes.
fn tell(what: &str) {
    let _ = writeln!(io::stderr(), "ottla: {what}");
}

fn serve(args: &ServeArgs) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let options = options(args)?;
    // Before the start, so that an early signal is heeded, too.
    let ending = Ending::listen()?;
    // A low limit only means more opening and closing.
    let _ = RealVfs::raise_open_files_limit();
    let broker = start_blocking(options)?;
    for cut in ready::recovered(&broker.recovery()) {
        tell(&cut);
    }
    if !ending.is_asked() {
        // Whoever started us may not read what we say; the broker runs all the same.
        let _ = ready::announce(&broker, args.ready_json, &mut io::stdout().lock());
    }
    let failed = ending.teller();
    broker.on_end(move || {
        // Not heard where the end was asked for.
        let _ = failed.send(Reason::Failed);
    });
    Ok(stop(broker, ending.wait()))
}

/// Ends the broker in good order.
fn stop(broker: RunningBroker, reason: Reason) -> ExitCode {
    if reason == Reason::Failed {
        tell("the broker failed and stopped; see the lines above");
        return ExitCode::FAILURE;
    }
    let report = broker.shutdown_blocking();
    if let Some(cause) = &report.cause {
        tell(&format!(
            "not a clean stop, the next start recovers: {cause}"
        ));
    }
    ExitCode::SUCCESS
}

/// What to start, from flags, environment and file; every problem at once.
fn options(args: &ServeArgs) -> Result<BrokerOptions, Box<dyn std::error::Error>> {
    let mut problems = Vec::new();
    let listen: Vec<ListenerSpec> =
        parse_all("--listen (OTTLA_LISTEN)", &args.listen, &mut problems);
    let advertise: Vec<AdvertiseSpec> = parse_all(
        "--advertise (OTTLA_ADVERTISE)",
        &args.advertise,
        &mut problems,
    );
    let path = args.config.as_deref();
    let file = path.and_then(|path| read_config(path, &mut problems));
    let all_read = problems.is_empty();
    let file = file
        .as_ref()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    let (settings, found) = Settings::read(file, &args.set);
    problems.extend(found);
    let or = |given: Vec<ListenerSpec>, other| if given.is_empty() { other } else { given };
    let default = vec![ListenerSpec::loopback(PORT_DEFAULT)];
    let listen = or(listen, or(settings.listen, default));
    let advertise = if advertise.is_empty() {
        settings.advertise
    } else {
        advertise
    };
    // An address to advertise may belong to a listener that could not be read.
    let advertised = if all_read { &advertise[..] } else { &[] };
    problems.extend(listener_problems(&listen, advertised));
    if !problems.is_empty() {
        return Err(InvalidSettings { problems }.into());
    }
    for warning in &settings.warnings {
        tell(warning);
    }
    if args.in_memory && settings.data.is_some() {
        tell("log.dirs has no effect: --in-memory (OTTLA_IN_MEMORY) keeps everything in memory");
    }
    let mut options = BrokerOptions::new(storage(args, settings.data)?);
    options.listen = listen;
    options.advertise = advertise;
    let flush = args.flush.map(|flush| match flush {
        Flush::Sync => FlushMode::Sync,
        Flush::Os => FlushMode::Os,
    });
    options.flush = flush.or(settings.flush).unwrap_or(options.flush);
    options.node_id = settings.node_id.unwrap_or(options.node_id);
    options.limits = settings.limits;
    options.config = settings.config;
    if args.trace_requests {
        options.trace = Some(Arc::new(TraceToStderr));
    }
    Ok(options)
}

/// The settings file's name and text.
fn read_config(path: &Path, problems: &mut Vec<String>) -> Option<(String, String)> {
    match std::fs::read_to_string(path) {
        Ok(text) => Some((path.display().to_string(), text)),
        Err(error) => {
            problems.push(format!(
                "cannot read the settings {path:?} of --config (OTTLA_CONFIG): {error}"
            ));
            None
        }
    }
}

fn storage(args: &ServeArgs, configured: Option<PathBuf>) -> io::Result<Storage> {
    if args.in_memory {
        return Ok(Storage::InMemory);
    }
    let dir = args
        .data
        .clone()
        .or(configured)
        .unwrap_or_else(|| PathBuf::from(DATA_DEFAULT));
    Ok(Storage::Dir(std::path::absolute(dir)?))
}

fn parse_all<T: std::str::FromStr<Err: ToString>>(
    from: &str,
    texts: &[String],
    problems: &mut Vec<String>,
) -> Vec<T> {
    let mut parsed = Vec::new();
    for text in texts {
        match text.parse() {
            Ok(value) => parsed.push(value),
            Err(error) => problems.push(format!("{from}: {}", T::Err::to_string(&error))),
        }
    }
    parsed
}

/// A line per request on standard error.
#[derive(Debug)]
struct TraceToStderr;

impl RequestTrace for TraceToStderr {
    fn answered(&self, line: &RequestLine) {
        // Whoever closed standard error wants no lines.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}
