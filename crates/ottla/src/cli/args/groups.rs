//! What `ottla groups` takes.

use clap::{ArgGroup, Args, Subcommand};

use super::BootstrapArgs;

const EXAMPLES: &str = "\
Examples:
  ottla groups list
  ottla groups describe billing
  ottla groups reset-offsets billing --to-earliest --topic orders
  ottla groups reset-offsets billing --to-datetime 2026-01-31T08:00:00 --all-topics --execute
  ottla groups delete billing";

const RESET_EXAMPLES: &str = "\
The group must have no members. Without --execute nothing is changed, and what would be is shown.

Examples:
  ottla groups reset-offsets billing --to-earliest --all-topics
  ottla groups reset-offsets billing --shift-by -100 --topic orders:0,2 --execute
  ottla groups reset-offsets billing --to-offset 42 --topic orders:1 --execute";

/// What `ottla groups` does.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(crate) enum GroupsCommand {
    /// List the consumer groups.
    #[command(after_help = "Examples:\n  ottla groups list\n  \
ottla groups list --json")]
    List {
        /// Print one JSON object a group.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        broker: BootstrapArgs,
    },
    /// Show a group's state, members, and for each partition offset, end and lag.
    #[command(after_help = "Examples:\n  ottla groups describe billing\n  \
ottla groups describe billing --json")]
    Describe {
        /// The group's id.
        group: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        broker: BootstrapArgs,
    },
    /// Delete a group without members, and its offsets.
    #[command(after_help = "Examples:\n  ottla groups delete billing")]
    Delete {
        /// The group's id.
        group: String,
        #[command(flatten)]
        broker: BootstrapArgs,
    },
    /// Move the offsets of a group without members.
    ResetOffsets(ResetArgs),
}

/// What `ottla groups reset-offsets` takes.
#[derive(Debug, Args)]
#[command(after_help = RESET_EXAMPLES)]
#[command(group = ArgGroup::new("which").args(["all_topics", "topic"]).required(true))]
pub(crate) struct ResetArgs {
    /// The group's id.
    pub(crate) group: String,
    #[command(flatten)]
    pub(crate) to: ResetTo,
    /// All topics that the group has offsets of.
    #[arg(long)]
    pub(crate) all_topics: bool,
    /// A topic, or some of its partitions; may be given more than once.
    #[arg(long, value_name = "TOPIC[:PARTITION,..]")]
    pub(crate) topic: Vec<String>,
    /// Do it.
    #[arg(long)]
    pub(crate) execute: bool,
    /// Print one JSON object a partition.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) broker: BootstrapArgs,
}

/// Where offsets are moved to: exactly one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ResetTo {
    /// To the first record that there is.
    #[arg(long)]
    pub(crate) to_earliest: bool,
    /// To the end.
    #[arg(long)]
    pub(crate) to_latest: bool,
    /// To this offset, or the nearest that there is.
    #[arg(long, value_name = "OFFSET", allow_negative_numbers = true)]
    pub(crate) to_offset: Option<i64>,
    /// To the first record at or after this time; UTC unless it ends with a zone (`+02:00`).
    #[arg(long, value_name = "YYYY-MM-DDTHH:MM:SS[.mmm][ZONE]")]
    pub(crate) to_datetime: Option<String>,
    /// By so many records from where the group is; back where negative.
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    pub(crate) shift_by: Option<i64>,
}
