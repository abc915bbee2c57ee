//! The command line: every command, flag and environment variable, with examples.

mod environment;
mod groups;

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{
    ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum,
};

pub(crate) use groups::{GroupsCommand, ResetArgs, ResetTo};

/// An event log that speaks the Kafka protocol.
#[derive(Debug, Parser)]
#[command(name = "ottla", version, about, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// What the process was started with; where that makes no sense, says so and ends it.
    pub(crate) fn read() -> Self {
        let mut command = environment::without_empty(Self::command());
        command.build();
        let read = command.clone().try_get_matches().and_then(|matches| {
            let mut cli = Self::from_arg_matches(&matches)?;
            if let (Command::Serve(serve), Some((_, given))) =
                (&mut cli.command, matches.subcommand())
            {
                serve.let_flags_win(given)?;
                if given.value_source("set") == Some(ValueSource::EnvVariable) {
                    serve.set = serve.set.iter().flat_map(|all| settings(all)).collect();
                }
            }
            Ok(cli)
        });
        read.unwrap_or_else(|error| environment::naming_its_variable(error, &command).exit())
    }
}

/// The settings in a list with commas between them. A comma before what is no `KEY=` belongs to
/// the value before it: `log.cleanup.policy=compact,delete`.
fn settings(list: &str) -> Vec<String> {
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let mut settings: Vec<String> = Vec::new();
    for piece in list.split(',') {
        let key = piece.split_once('=').map(|(key, _)| key.trim());
        let begins = key.is_some_and(|key| !key.is_empty() && key.chars().all(is_key));
        match settings.last_mut() {
            Some(last) if !begins => {
                last.push(',');
                last.push_str(piece);
            }
            _ => settings.push(piece.to_owned()),
        }
    }
    settings
}

const EXAMPLES: &str = "\
Examples:
  ottla serve                                    a broker on localhost:9092, data in ./ottla-data
  ottla serve --in-memory --listen 127.0.0.1:0   a broker for a test, on a free port
  ottla topics create orders --partitions 3
  echo 'hello' | ottla produce orders
  ottla consume orders";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a broker that any Kafka client connects to.
    Serve(ServeArgs),
    /// Create, list, describe and delete topics.
    #[command(subcommand)]
    Topics(TopicsCommand),
    /// Write records from standard input, one a line.
    Produce(ProduceArgs),
    /// Print the records of a topic.
    Consume(ConsumeArgs),
    /// List, describe and delete consumer groups, and move their offsets.
    #[command(subcommand)]
    Groups(GroupsCommand),
    /// Look into the files of logs, beside a running broker or without one. Changes nothing.
    #[command(subcommand)]
    Log(LogCommand),
}

/// What `ottla serve` takes.
#[derive(Debug, Args)]
#[command(after_help = SERVE_EXAMPLES)]
pub(crate) struct ServeArgs {
    /// The data directory; made where it is missing [default: ./ottla-data].
    #[arg(long, value_name = "DIR", env = "OTTLA_DATA")]
    pub(crate) data: Option<PathBuf>,

    /// Keep everything in memory; gone when the broker stops.
    #[arg(long, env = "OTTLA_IN_MEMORY", value_parser = BoolishValueParser::new())]
    pub(crate) in_memory: bool,

    /// Listen here; may be given more than once. Port 0 takes a free one
    /// [default: 127.0.0.1:9092 and, where the machine has it, [::1]:9092].
    #[arg(
        long,
        value_name = "[NAME://]HOST:PORT",
        env = "OTTLA_LISTEN",
        value_delimiter = ','
    )]
    pub(crate) listen: Vec<String>,

    /// Tell clients to connect here instead of where the broker listens.
    #[arg(
        long,
        value_name = "[NAME://]HOST:PORT",
        env = "OTTLA_ADVERTISE",
        value_delimiter = ','
    )]
    pub(crate) advertise: Vec<String>,

    /// When a record counts as written: `sync` when it survives power loss, `os` when the
    /// operating system has it, as Apache Kafka does [default: sync].
    #[arg(long, value_name = "MODE", env = "OTTLA_FLUSH")]
    pub(crate) flush: Option<Flush>,

    /// Read Kafka's settings from a `server.properties` file.
    #[arg(long, value_name = "FILE", env = "OTTLA_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    /// Set one of Kafka's settings, such as `num.partitions=3`; wins over the file. May be given
    /// more than once; the variable has all of them, with commas between.
    #[arg(long, value_name = "KEY=VALUE", env = "OTTLA_SET")]
    pub(crate) set: Vec<String>,

    /// Print the ready line as one JSON object.
    #[arg(long, env = "OTTLA_READY_JSON", value_parser = BoolishValueParser::new())]
    pub(crate) ready_json: bool,

    /// Print a line for each request on standard error.
    #[arg(long, env = "OTTLA_TRACE_REQUESTS", value_parser = BoolishValueParser::new())]
    pub(crate) trace_requests: bool,
}

impl ServeArgs {
    /// A flag wins over the environment, also where they exclude each other.
    fn let_flags_win(&mut self, given: &ArgMatches) -> Result<(), clap::Error> {
        if self.data.is_none() || !self.in_memory {
            return Ok(());
        }
        let is_flag = |id| given.value_source(id) == Some(ValueSource::CommandLine);
        match (is_flag("data"), is_flag("in_memory")) {
            (true, false) => self.in_memory = false,
            (false, true) => self.data = None,
            _ => {
                let why = "--data (OTTLA_DATA) and --in-memory (OTTLA_IN_MEMORY) exclude each \
                           other; give one of them";
                return Err(Cli::command().error(ErrorKind::ArgumentConflict, why));
            }
        }
        Ok(())
    }
}

const SERVE_EXAMPLES: &str = "\
Every flag can also be given as an environment variable (a flag wins), and OTTLA_LOG filters what
is logged on standard error (error, warn, info, debug, or module=level).

Examples:
  ottla serve
  ottla serve --data /var/lib/ottla --listen 0.0.0.0:9092 --advertise broker.example:9092
  ottla serve --flush os --set auto.create.topics.enable=false
  ottla serve --in-memory --listen 127.0.0.1:0 --ready-json";

/// The two flush modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Flush {
    /// An acks=all answer survives power loss.
    Sync,
    /// An acks=all answer survives the end of the process, as Apache Kafka promises.
    Os,
}

/// Where the broker is.
#[derive(Debug, Args)]
pub(crate) struct BootstrapArgs {
    /// The broker to connect to.
    #[arg(
        short,
        long,
        value_name = "HOST:PORT",
        env = "OTTLA_BOOTSTRAP_SERVER",
        default_value = "localhost:9092"
    )]
    pub(crate) bootstrap_server: String,
}

/// What `ottla topics` does.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  ottla topics create orders --partitions 3 \
--config retention.ms=86400000\n  ottla topics list\n  ottla topics describe orders\n  \
ottla topics delete orders")]
pub(crate) enum TopicsCommand {
    /// Create a topic.
    #[command(after_help = "Examples:\n  ottla topics create orders\n  \
ottla topics create orders --partitions 3 --config cleanup.policy=compact")]
    Create {
        /// The topic's name.
        topic: String,
        /// How many partitions [default: the broker's num.partitions].
        #[arg(short, long, value_name = "COUNT")]
        partitions: Option<i32>,
        /// One of the topic's settings; may be given more than once.
        #[arg(short, long, value_name = "KEY=VALUE")]
        config: Vec<String>,
        #[command(flatten)]
        broker: BootstrapArgs,
    },
    /// List the topics.
    #[command(after_help = "Examples:\n  ottla topics list\n  \
ottla topics list --json --bootstrap-server broker.example:9092")]
    List {
        /// Print one JSON object a topic.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        broker: BootstrapArgs,
    },
    /// Show a topic's partitions, offsets and settings.
    #[command(after_help = "Examples:\n  ottla topics describe orders\n  \
ottla topics describe orders --json")]
    Describe {
        /// The topic's name.
        topic: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        broker: BootstrapArgs,
    },
    /// Delete a topic and its records.
    #[command(after_help = "Examples:\n  ottla topics delete orders")]
    Delete {
        /// The topic's name.
        topic: String,
        #[command(flatten)]
        broker: BootstrapArgs,
    },
}

/// What `ottla produce` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  echo hello | ottla produce orders\n  \
echo 'k1:v1' | ottla produce orders --key-separator : --header source=shop\n  \
ottla produce orders --json < records.jsonl")]
pub(crate) struct ProduceArgs {
    /// The topic; made where it is missing if the broker allows that.
    pub(crate) topic: String,
    /// The partition [default: by the key's hash, as Kafka's own clients do, or in turn].
    #[arg(short, long, value_name = "NUMBER")]
    pub(crate) partition: Option<i32>,
    /// What stands between key and value in a line; without it a line is a value.
    #[arg(short, long, value_name = "TEXT", conflicts_with = "json")]
    pub(crate) key_separator: Option<String>,
    /// A header for every record; may be given more than once.
    #[arg(short = 'H', long, value_name = "KEY=VALUE")]
    pub(crate) header: Vec<String>,
    /// Read one JSON object a line, as `ottla consume --json` prints them.
    #[arg(long)]
    pub(crate) json: bool,
    /// When a record counts as written: 0, 1 or all.
    #[arg(
        long,
        value_name = "ACKS",
        default_value = "all",
        allow_hyphen_values = true
    )]
    pub(crate) acks: Acks,
    /// Compress with this codec.
    #[arg(long, value_name = "CODEC", default_value = "none")]
    pub(crate) codec: CodecArg,
    #[command(flatten)]
    pub(crate) broker: BootstrapArgs,
}

/// The acknowledgements to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Acks {
    /// None.
    #[value(name = "0")]
    None,
    /// The leader has written it.
    #[value(name = "1")]
    Leader,
    /// It survives what the broker's flush mode promises.
    #[value(name = "all", alias = "-1")]
    All,
}

/// The codecs by Kafka's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CodecArg {
    /// No compression.
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy in the xerial framing.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// RFC 8878.
    Zstd,
}

/// What `ottla consume` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  ottla consume orders\n  \
ottla consume orders --from end --follow\n  ottla consume orders --offsets --keys --headers\n  \
ottla consume orders --group billing --follow\n  \
ottla consume orders --partition 0 --from 42 --max 10 --json")]
pub(crate) struct ConsumeArgs {
    /// The topic.
    pub(crate) topic: String,
    /// Only this partition [default: all].
    #[arg(short, long, value_name = "NUMBER")]
    pub(crate) partition: Option<i32>,
    /// Read as a member of this consumer group: go on where the group is, share the partitions
    /// with its other members, and commit what was printed, on Ctrl-C too.
    #[arg(short, long, value_name = "GROUP", conflicts_with = "partition")]
    pub(crate) group: Option<String>,
    /// Where to start: `beginning`, `end`, an offset, or a time such as `@1700000000000`
    /// (milliseconds since 1970); with a group, where it has committed nothing yet.
    #[arg(long, value_name = "WHERE", default_value = "beginning")]
    pub(crate) from: String,
    /// Wait for new records at the end instead of stopping.
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Stop after this many records.
    #[arg(short, long, value_name = "COUNT")]
    pub(crate) max: Option<u64>,
    /// Print the key and a tab before each value.
    #[arg(long)]
    pub(crate) keys: bool,
    /// Print the headers before each value.
    #[arg(long)]
    pub(crate) headers: bool,
    /// Print partition and offset before each value.
    #[arg(long)]
    pub(crate) offsets: bool,
    /// Print one JSON object a record.
    #[arg(long, conflicts_with_all = ["keys", "headers", "offsets"])]
    pub(crate) json: bool,
    /// Leave out records of transactions that are not committed.
    #[arg(long)]
    pub(crate) read_committed: bool,
    #[command(flatten)]
    pub(crate) broker: BootstrapArgs,
}

/// What `ottla log` does.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  ottla log verify ottla-data\n  \
ottla log dump ottla-data/kafka/orders-0\n  \
ottla log dump --records ottla-data/kafka/orders-0/00000000000000000000.log")]
pub(crate) enum LogCommand {
    /// Print what the files of a log hold: batches, index entries, producers, leader epochs; of a
    /// data directory also checkpoints, seals and the journal.
    #[command(
        after_help = "Examples:\n  ottla log dump ottla-data/kafka/orders-0\n  \
ottla log dump --records ottla-data/kafka/orders-0/00000000000000000000.log\n  \
ottla log dump --json ottla-data/kafka/orders-0/leader-epoch-checkpoint"
    )]
    Dump {
        /// A file of a log, a log's directory, or a data directory.
        path: PathBuf,
        /// Print the records of each batch, too.
        #[arg(long)]
        records: bool,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
    /// Check every checksum, offset, record, index entry and producer, of a data directory also
    /// seals, checkpoints and the journal, and print a line for each finding. A broker may run
    /// beside it. Notes are of what is no loss. The exit status is 0 where there is no finding, 1
    /// where there is one, and 2 where something cannot be read.
    #[command(after_help = "Examples:\n  ottla log verify ottla-data\n  \
ottla log verify --json ottla-data/kafka/orders-0")]
    Verify {
        /// A log's directory, or a data directory; Apache Kafka's, too.
        path: PathBuf,
        /// Print one JSON object a line.
        #[arg(long)]
        json: bool,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    /// The commands below and including `command` whose help shows no example of themselves.
    fn without_example(command: &clap::Command, path: &str) -> Vec<String> {
        let help = command.clone().render_long_help().to_string();
        let examples = help
            .split_once("Examples:\n")
            .map_or("", |(_, after)| after);
        let mut without = Vec::new();
        if !examples.lines().any(|line| line.contains(path)) {
            without.push(path.to_owned());
        }
        for inside in command.get_subcommands() {
            let path = format!("{path} {}", inside.get_name());
            without.extend(without_example(inside, &path));
        }
        without
    }

    #[test]
    fn the_help_of_every_command_shows_it_at_work() {
        assert_eq!(
            without_example(&Cli::command(), "ottla"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_list_of_settings_is_split_before_keys() {
        assert_eq!(settings("a.b=1"), ["a.b=1"]);
        assert_eq!(
            settings("log.cleanup.policy=compact,delete,num.partitions=3"),
            ["log.cleanup.policy=compact,delete", "num.partitions=3"]
        );
        assert_eq!(settings("nothing"), ["nothing"], "refused later, as it is");
    }
}
