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

/// Where our answers differ from Kafka's and may not, one line each.
pub fn compare(kafka: &[Section], ours: &[Section]) -> Vec<String> {
    let mut differences = Vec::new();
    for section in kafka {
        let Some(mine) = ours.iter().find(|mine| mine.title == section.title) else {
            differences.push(format!(
                "{}: was not asked; refresh the goldens",
                section.title
            ));
            continue;
        };
        let mut mine = mine.answers.iter();
        for (version, theirs) in &section.answers {
            match mine.next() {
                Some((asked, answer)) if asked == version => {
                    difference(
                        &section.title,
                        *version,
                        "",
                        theirs,
                        answer,
                        &mut differences,
                    );
                }
                _ => differences.push(format!("{} v{version}: was not asked", section.title)),
            }
        }
    }
    let known = |title: &str| kafka.iter().any(|section| section.title == title);
    let unknown = ours.iter().filter(|section| !known(&section.title));
    differences.extend(unknown.map(|section| format!("{}: has no golden", section.title)));
    differences
}

fn difference(
    title: &str,
    version: i16,
    path: &str,
    kafka: &Value,
    ours: &Value,
    found: &mut Vec<String>,
) {
    if kafka == ours || allowed::is_allowed(title, version, path, kafka, ours) {
        return;
    }
    match (kafka, ours) {
        (Value::Object(theirs), Value::Object(mine)) => {
            let names = theirs
                .keys()
                .chain(mine.keys().filter(|name| !theirs.contains_key(*name)));
            for name in names {
                let absent = Value::from("<absent>");
                let (a, b) = (theirs.get(name), mine.get(name));
                let (a, b) = (a.unwrap_or(&absent), b.unwrap_or(&absent));
                difference(title, version, &format!("{path}.{name}"), a, b, found);
            }
        }
        (Value::Array(theirs), Value::Array(mine)) if theirs.len() == mine.len() => {
            for (i, (a, b)) in theirs.iter().zip(mine).enumerate() {
                difference(title, version, &format!("{path}[{i}]"), a, b, found);
            }
        }
        _ => found.push(format!(
            "{title} v{version} {path}: Kafka {kafka}, Ottla {ours}"
        )),
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
            assert_eq!(compare(&kafka, &kafka), Vec::<String>::new());
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
        let expected = format!("{title} v{version} {place}: Kafka 0, Ottla 2");
        assert_eq!(compare(&kafka, &ours), [expected]);
    }
}
