//! Requests: what is decoded, and that it is encoded as it came.

use bytes::Bytes;
use proptest::prelude::*;

use super::filler::{Style, fill};
use super::{header, oracle};
use crate::api::{APIS, Api};
use crate::{Charge, Checked, OverBudget, Request, decode_request, encode_request};

/// Lets everything pass and adds it up.
#[derive(Default)]
struct Sum(usize);

impl Charge for Sum {
    fn charge(&mut self, bytes: usize) -> Result<(), OverBudget> {
        self.0 += bytes;
        Ok(())
    }
}

fn style(api: &Api, version: i16) -> Style {
    Style {
        version,
        flexible: api.is_flexible(version),
        elements_max: 3,
        nulls: true,
        strangers: false,
    }
}

fn body(api: &Api, version: i16, request: &Request) -> Bytes {
    let frame = encode_request(&header(api, version), request).unwrap();
    let (read, body) = crate::RequestHeader::decode(&frame.slice(4..)).unwrap();
    assert_eq!(read, header(api, version));
    body
}

/// How the request prints, without the variant around it.
fn text(request: &Request) -> String {
    let text = format!("{request:?}");
    let inside = text
        .split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'));
    oracle::translated(inside.expect("a variant holds a request"))
}

fn agree(api: &Api, version: i16, seed: u64) {
    let what = format!("{} v{version} seed {seed}", api.name());
    let filled = fill(api.request, style(api, version), seed);
    let bytes = Bytes::from(filled.bytes);
    let mut sum = Sum::default();
    let request = decode_request(&header(api, version), bytes.clone(), &mut sum)
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(sum.0 >= api.request.memory, "{what} is charged {}", sum.0);
    assert_eq!(request.key(), api.key, "{what}");
    let ours = body(api, version, &request);
    let Some(theirs) = oracle::request(api.key, version, &bytes) else {
        // A version that only we have: at least nothing is lost but defaults.
        let again = Checked::new(&header(api, version), ours).unwrap();
        assert_eq!(again.decode().unwrap(), request, "{what}");
        return;
    };
    assert_eq!(text(&request), theirs.text, "{what}");
    assert_eq!(ours, theirs.bytes, "{what}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_independent_codec_agrees_on_every_request(seed in any::<u64>()) {
        for api in APIS {
            for version in api.versions.clone() {
                agree(api, version, seed);
            }
        }
    }

    #[test]
    fn fields_that_nobody_knows_are_dropped(seed in any::<u64>()) {
        for api in APIS {
            for version in api.versions.clone().filter(|v| api.is_flexible(*v)) {
                let strange = Style { strangers: true, ..style(api, version) };
                let bytes = fill(api.request, strange, seed).bytes;
                let with = Checked::new(&header(api, version), bytes.into()).unwrap();
                let with = with.decode().unwrap();
                let without = body(api, version, &with);
                let again = Checked::new(&header(api, version), without).unwrap();
                prop_assert_eq!(again.decode().unwrap(), with);
            }
        }
    }
}

#[test]
fn only_versions_that_are_newer_than_the_independent_codec_go_unjudged() {
    let mut unjudged = Vec::new();
    for api in APIS {
        for version in api.versions.clone() {
            let bytes = fill(api.request, style(api, version), 1).bytes;
            if oracle::request(api.key, version, &bytes).is_none() {
                unjudged.push(format!("{} {version}", api.name()));
            }
        }
    }
    assert_eq!(
        unjudged,
        [
            "ListOffsets 11",
            "OffsetCommit 10",
            "OffsetFetch 10",
            "ApiVersions 5",
            "DescribeLogDirs 5",
            "DeleteGroups 3"
        ]
    );
}

#[test]
fn a_budget_that_is_used_up_refuses_before_decoding() {
    struct Empty;
    impl Charge for Empty {
        fn charge(&mut self, bytes: usize) -> Result<(), OverBudget> {
            Err(OverBudget { bytes })
        }
    }
    let api = crate::api::find(crate::ApiKey::Metadata).unwrap();
    let body = Bytes::from_static(&[0, 0, 0, 0]);
    let refused = decode_request(&header(api, 1), body, &mut Empty).unwrap_err();
    assert!(refused.to_string().contains("bytes of memory"), "{refused}");
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let api = crate::api::find(crate::ApiKey::Metadata).unwrap();
    let body = Bytes::from_static(b"\0\0\0\x01\0\x02\xff\xfe");
    let refused = decode_request(&header(api, 1), body, &mut Sum::default()).unwrap_err();
    assert!(refused.to_string().contains("not UTF-8"), "{refused}");
}

#[test]
fn a_follower_is_found_wherever_the_version_puts_it() {
    let api = crate::api::find(crate::ApiKey::Fetch).unwrap();
    for version in api.versions.clone() {
        let mut fetch = crate::fetch::FetchRequest::default();
        assert_eq!(fetch.replica(), (-1, -1));
        fetch.replica_id = 5;
        fetch.replica_state.replica_id = 5;
        fetch.replica_state.replica_epoch = 9;
        let body = body(api, version, &fetch.into());
        let read = Checked::new(&header(api, version), body).unwrap();
        let Ok(Request::Fetch(read)) = read.decode() else {
            panic!("a Fetch request was encoded");
        };
        let expected = if version < 15 { (5, -1) } else { (5, 9) };
        assert_eq!(read.replica(), expected, "version {version}");
    }
}
