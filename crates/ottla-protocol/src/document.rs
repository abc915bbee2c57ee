//! docs/PROTOCOL.md, made from the table: what this broker speaks cannot be documented otherwise
//! than it is.

use std::fmt::Write as _;

use crate::ApiKey;
use crate::acl::{Need, Scope};
use crate::api::{APIS, Api, Listener, find};

const HEAD: &str = "\
# The Kafka protocol as Ottla speaks it

Made from the table of APIs in `crates/ottla-protocol/src/api/table.rs`; a test keeps it current.

## What is served

Versions are those of request and response. An API or version that is not in this table is not
named in the answer to ApiVersions, and a request for it closes the connection, as with Kafka.
There are no controller listeners yet; the last column says what they would answer.

";

const NEEDS: &str = "
## What a request must be allowed to do

*request*: denied, the whole request is refused. *each*: denied, the entry of that resource is
refused, or left out where it was not named. *all or each*: granted, it stands for every entry.
*for more*: denied, the answer says or does less. The resource of cluster is `kafka-cluster`.

";

const ODDITIES: &str = "
## Where the table does not say it all

- Produce names 0 as its lowest version and refuses 0 to 2: librdkafka decides by the lowest
  version which codecs it may use (KAFKA-18659).
- GetTelemetrySubscriptions and PushTelemetry are answered and not named, as by a Kafka without a
  plugin that takes metrics: nothing is subscribed to. What is pushed all the same is dropped
  unread; Kafka decompresses it first. Nothing is remembered of a client: one that asks again too
  soon, pushes too soon or pushes after its last push is answered with error 0, where Kafka says
  THROTTLING_QUOTA_EXCEEDED or INVALID_REQUEST.
- A version of ApiVersions that is not served is answered in the form of version 0, with error 35
  and the versions of ApiVersions itself (KIP-511). Any other unknown version closes the connection.
- The response to ApiVersions has the old header in every version.
- Features that begin at level 0 are left out of the answer to ApiVersions before version 4
  (KAFKA-17011); features that are switched off are never among the finalized ones.
- Tagged fields with their default value are never written. Tagged fields that are not known are
  skipped.
- Records in a Fetch response are empty, never null.
- The aborted transactions in a Fetch response are those that have a part in the records of that
  response. Kafka's list may name some that begin behind them.
- A request is walked over before it is decoded: a length that goes past its end, a count that
  cannot be, a null where none is allowed, more than 4 KiB of tagged fields in its header, or text
  that is not UTF-8 closes the connection. Bytes after its end are passed over, as Kafka does.
";

/// The text of docs/PROTOCOL.md.
#[must_use]
pub fn protocol_markdown() -> String {
    let mut text = HEAD.to_owned();
    text.push_str("| key | API | versions | flexible from | listeners |\n|---|---|---|---|---|\n");
    APIS.iter().for_each(|api| put_row(&mut text, api));
    text.push_str(NEEDS);
    text.push_str("| API | needs |\n|---|---|\n");
    for api in APIS.iter().filter(|api| !api.needs.is_empty()) {
        let needs: Vec<String> = api.needs.iter().map(need).collect();
        put(
            &mut text,
            format_args!("| {} | {} |\n", api.name(), needs.join("; ")),
        );
    }
    text.push_str(ODDITIES);
    text.push_str("\n## What is not served\n\n");
    let missing = ApiKey::ALL.iter().filter(|key| find(**key).is_none());
    let names: Vec<String> = missing
        .map(|key| format!("{key} ({})", key.key()))
        .collect();
    put_wrapped(&mut text, &names);
    text
}

fn put_row(text: &mut String, api: &Api) {
    let flexible = match api.flexible_from {
        i16::MAX => "never".to_owned(),
        version => version.to_string(),
    };
    let versions = match (api.advertised_min, api.versions.start(), api.versions.end()) {
        (named, low, high) if named < *low => format!("{low} to {high}, named from {named}"),
        (_, low, high) if low == high => low.to_string(),
        (_, low, high) => format!("{low} to {high}"),
    };
    let unnamed = if api.advertised { "" } else { ", not named" };
    let listeners: Vec<&str> = api.listeners.iter().map(listener).collect();
    let (key, name, listeners) = (api.key.key(), api.name(), listeners.join(", "));
    put(
        text,
        format_args!("| {key} | {name} | {versions}{unnamed} | {flexible} | {listeners} |\n"),
    );
}

const fn listener(listener: &Listener) -> &'static str {
    match listener {
        Listener::Broker => "broker",
        Listener::Controller => "controller",
    }
}

fn need(need: &Need) -> String {
    let scope = match need.scope {
        Scope::Request => "request",
        Scope::Entry => "each",
        Scope::Cover => "all or each",
        Scope::Extra => "for more",
    };
    format!("{:?} on {:?} ({scope})", need.operation, need.resource)
}

/// Names with commas between them, in lines of less than 100 columns.
fn put_wrapped(text: &mut String, names: &[String]) {
    let mut column = 0;
    for (index, name) in names.iter().enumerate() {
        let end = if index + 1 == names.len() { "." } else { "," };
        if column > 0 && column + name.len() + 2 > 98 {
            text.push('\n');
            column = 0;
        } else if column > 0 {
            text.push(' ');
        }
        put(text, format_args!("{name}{end}"));
        column += name.len() + 2;
    }
    text.push('\n');
}

fn put(text: &mut String, line: std::fmt::Arguments<'_>) {
    text.write_fmt(line)
        .expect("writing to a String never fails");
}
