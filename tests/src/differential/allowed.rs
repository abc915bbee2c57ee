//! Where we may answer otherwise than Apache Kafka, and why. Everything else is a bug.

use serde_json::Value;

/// One allowed difference.
struct Allowed {
    /// How the section's title begins.
    section: &'static str,
    /// The field, with `[]` for any place in a list; empty for the whole answer.
    path: &'static str,
    /// Whether these two values may stand for each other.
    holds: fn(kafka: &Value, ours: &Value) -> bool,
}

/// The list. Each entry begins with its reason.
const ALLOWED: &[Allowed] = &[];

/// Whether `ours` may stand where Kafka has `kafka`.
pub(super) fn is_allowed(
    title: &str,
    _version: i16,
    path: &str,
    kafka: &Value,
    ours: &Value,
) -> bool {
    let path = without_places(path);
    ALLOWED.iter().any(|allowed| {
        title.starts_with(allowed.section) && path == allowed.path && (allowed.holds)(kafka, ours)
    })
}

/// `.topics[3].name` as `.topics[].name`.
fn without_places(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|c| {
            inside = (inside || *c == '[') && *c != ']';
            !(inside && c.is_ascii_digit())
        })
        .collect()
}
