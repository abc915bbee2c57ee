//! Whatever a valid request says, it is answered in the form of its version.

use ottla_protocol::api::{APIS, Api};

use super::*;

#[path = "../../../../ottla-protocol/src/tests/filler.rs"]
#[allow(dead_code, reason = "its other users are the protocol's own tests")]
mod filler;

use filler::{Style, fill};

/// A request whose texts are the cluster's topics now and then, and whose numbers are anything.
fn request(api: &Api, version: i16, seed: u64) -> Request {
    let style = Style {
        version,
        flexible: api.is_flexible(version),
        elements_max: 3,
        nulls: true,
        strangers: true,
    };
    let header = RequestHeader {
        api_key: api.key,
        api_version: version,
        correlation_id: 1,
        client_id: None,
    };
    let body = fill(api.request, style, seed).bytes;
    let checked = Checked::new(&header, body.into());
    checked.and_then(Checked::decode).expect("it is valid")
}

fn answer_all(cluster: &Cluster, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        for api in APIS {
            for version in api.versions.clone() {
                let _ = cluster.ask(version, request(api, version, seed));
            }
        }
    }
}

#[test]
fn every_request_is_answered_in_the_form_of_its_version() {
    answer_all(&Cluster::open(), 0..40);
}

#[test]
fn every_denial_is_answered_in_the_form_of_its_version() {
    let cluster = Cluster::denying();
    let before = cluster.core().metadata().image().end();
    answer_all(&cluster, 0..40);
    let after = cluster.core().metadata().image().end();
    assert_eq!(before, after, "one who may do nothing changed something");
}

/// A word of an answer that is not "NONE" is what a trace line shows of it, whichever API
/// it is of.
#[test]
fn every_error_of_an_answer_is_seen_by_the_trace() {
    let mut apis = std::collections::BTreeSet::new();
    let mut unseen = BTreeMap::new();
    for cluster in [Cluster::open(), Cluster::denying()] {
        for seed in 0..6 {
            for api in APIS {
                for version in api.versions.clone() {
                    let Some(response) = cluster.ask(version, request(api, version, seed)) else {
                        continue;
                    };
                    // However deep it is.
                    let text = format!("{response:?}");
                    let codes = text.split("error_code: ").skip(1).map(|rest| {
                        let is_part = |c: char| c == '-' || c.is_ascii_digit();
                        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                        rest[..end].parse::<i16>().unwrap()
                    });
                    let codes: Vec<i16> = codes.filter(|code| *code != 0).collect();
                    let seen = crate::trace::summary::result(&response).code();
                    let is_right = if codes.is_empty() {
                        seen == 0
                    } else {
                        codes.contains(&seen)
                    };
                    if !is_right {
                        unseen.insert(api.name(), text);
                    } else if seen != 0 {
                        apis.insert(api.name());
                    }
                }
            }
        }
    }
    assert!(unseen.is_empty(), "{unseen:#?}");
    assert!(apis.len() > 25, "{apis:?}");
}
