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
