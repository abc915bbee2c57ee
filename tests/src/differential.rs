//! The same requests to Apache Kafka and to us, and every answer compared, field by field.
//!
//! Kafka's answers are kept in `tests/goldens/` and refreshed where a JDK is; comparing us with
//! them needs neither. [`cases`] says what is asked, [`allowed`] what may differ and why.

pub mod allowed;
pub mod batch;
pub mod cases;
pub mod codec;
pub mod golden;
pub mod normal;
pub mod recorder;
pub mod schema;
pub mod wire;

use std::{fs, net::SocketAddr, path::PathBuf};

use serde_json::Value;

pub use self::allowed::Allowance;
use self::{cases::Group, golden::Section, recorder::Recorder};
use crate::{Error, tools};

/// Asks a broker everything of a group.
///
/// # Errors
/// When the broker neither answers nor closes, or what must be prepared fails.
pub fn record(group: &Group, broker: SocketAddr) -> Result<Vec<Section>, Error> {
    let mut recorder = Recorder::new(broker);
    (group.run)(&mut recorder)?;
    Ok(recorder.into_sections())
}

/// Where a group's answers from Kafka are kept.
pub fn golden_path(group: &Group) -> PathBuf {
    tools::repository()
        .join("tests/goldens")
        .join(group.name)
        .with_extension("txt")
}

/// Kafka's answers to a group.
///
/// # Errors
/// When the file cannot be read.
pub fn goldens(group: &Group) -> Result<Vec<Section>, Error> {
    let path = golden_path(group);
    let text = fs::read_to_string(&path).map_err(Error::path("read", &path))?;
    golden::read(&text).map_err(|error| Error::failed(format!("{}: {error}", path.display())))
}

/// Asks a broker everything of a group, and says where it differs from Kafka and may not by
/// `allowance`.
///
/// # Errors
/// As [`record`] and [`goldens`].
pub fn differences(
    group: &Group,
    broker: SocketAddr,
    allowance: &mut Allowance,
) -> Result<Vec<String>, Error> {
    let (kafka, theirs) = (goldens(group)?, record(group, broker)?);
    Ok(compare(&kafka, &theirs, allowance))
}

/// Where our answers differ from Kafka's and may not, one line each.
pub fn compare(kafka: &[Section], ours: &[Section], allowance: &mut Allowance) -> Vec<String> {
    let mut found = Vec::new();
    for section in kafka {
        let title = &section.title;
        let Some(mine) = ours.iter().find(|mine| mine.title == *title) else {
            found.push(format!("{title}: was not asked; refresh the goldens"));
            continue;
        };
        let asked = |answers: &[(i16, Value)]| answers.iter().map(|(v, _)| *v).collect::<Vec<_>>();
        if asked(&section.answers) != asked(&mine.answers) {
            found.push(format!(
                "{title}: asked at other versions; refresh the goldens"
            ));
            continue;
        }
        let mut differences = Differences {
            title,
            places: Vec::new(),
            allowance,
        };
        for ((version, theirs), (_, mine)) in section.answers.iter().zip(&mine.answers) {
            differences.value(*version, "", theirs, mine);
        }
        found.extend(differences.lines());
    }
    let known = |title: &str| kafka.iter().any(|section| section.title == title);
    let unknown = ours.iter().filter(|section| !known(&section.title));
    found.extend(unknown.map(|section| format!("{}: has no golden", section.title)));
    found
}

/// The differences of one section, by the place where they are.
struct Differences<'a> {
    title: &'a str,
    places: Vec<(String, Vec<i16>, String)>,
    allowance: &'a mut Allowance,
}

impl Differences<'_> {
    fn value(&mut self, version: i16, path: &str, kafka: &Value, ours: &Value) {
        if kafka == ours || self.allowance.allows(self.title, path, kafka, ours) {
            return;
        }
        match (kafka, ours) {
            (Value::Object(theirs), Value::Object(mine)) => {
                let more = mine.keys().filter(|name| !theirs.contains_key(*name));
                for name in theirs.keys().chain(more) {
                    let absent = Value::from("<absent>");
                    let (a, b) = (theirs.get(name), mine.get(name));
                    let (a, b) = (a.unwrap_or(&absent), b.unwrap_or(&absent));
                    self.value(version, &format!("{path}.{name}"), a, b);
                }
            }
            (Value::Array(theirs), Value::Array(mine)) if theirs.len() == mine.len() => {
                for (i, (a, b)) in theirs.iter().zip(mine).enumerate() {
                    self.value(version, &format!("{path}[{i}]"), a, b);
                }
            }
            _ => self.note(version, path, format!("Kafka {kafka}, Ottla {ours}")),
        }
    }

    fn note(&mut self, version: i16, path: &str, text: String) {
        match self.places.iter_mut().find(|(known, ..)| known == path) {
            Some((_, versions, _)) => versions.push(version),
            None => self.places.push((path.to_owned(), vec![version], text)),
        }
    }

    /// A line for each place, with the values at the first version that differs.
    fn lines(self) -> impl Iterator<Item = String> {
        let title = self.title;
        self.places.into_iter().map(move |(path, versions, text)| {
            format!("{title}, versions {versions:?}, at {path:?}: {text}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_answers_of_kafka_that_equal_themselves() {
        for group in cases::GROUPS {
            let kafka = goldens(group).expect("goldens");
            assert!(!kafka.is_empty(), "{} has no sections", group.name);
            let found = compare(&kafka, &kafka, &mut Allowance::none());
            assert_eq!(found, Vec::<String>::new());
        }
    }

    #[test]
    fn a_difference_is_found_and_named() {
        let group = &cases::GROUPS[0];
        let kafka = goldens(group).expect("goldens");
        let mut ours = goldens(group).expect("goldens");
        let (version, answer) = &mut ours[0].answers[0];
        assert_eq!(
            answer["responses"][0]["partitionResponses"][0]["errorCode"],
            0
        );
        answer["responses"][0]["partitionResponses"][0]["errorCode"] = Value::from(2);
        let place = ".responses[0].partitionResponses[0].errorCode";
        let title = &kafka[0].title;
        let expected = format!("{title}, versions [{version}], at {place:?}: Kafka 0, Ottla 2");
        assert_eq!(compare(&kafka, &ours, &mut Allowance::ours()), [expected]);
    }

    #[test]
    fn an_exemption_that_nothing_needs_is_named() {
        let (title, path) = (
            "ListOffsets: as replica 1",
            ".topics[0].partitions[0].errorCode",
        );
        let mut one = Allowance::ours();
        let all = one.unused();
        assert!(one.allows(title, path, &Value::from(0), &Value::from(29)));
        assert!(!one.allows(title, path, &Value::from(0), &Value::from(6)));
        let left = one.unused();
        let used: Vec<&String> = all.iter().filter(|line| !left.contains(line)).collect();
        assert!(
            matches!(used[..], [used] if used.contains("as replica 1")),
            "{used:?}"
        );
        let mut both = Allowance::ours();
        both.merge(&one);
        assert_eq!(both.unused(), left);
        assert!(!Allowance::none().allows(title, path, &Value::from(0), &Value::from(29)));
    }
}
