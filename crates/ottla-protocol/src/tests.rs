//! Properties of the codec and the guard over all APIs and versions.

pub(crate) mod filler;
mod guard;
mod newer;
mod oracle;
mod requests;
mod responses;

use bytes::Bytes;

use crate::api::Api;
use crate::header::RequestHeader;

/// The header of a request of `version` to `api`.
pub(crate) fn header(api: &Api, version: i16) -> RequestHeader {
    RequestHeader {
        api_key: api.key,
        api_version: version,
        correlation_id: 7,
        client_id: None,
    }
}

/// The lines of a file of golden bytes: name, version, bytes.
pub(crate) fn golden(text: &'static str) -> Vec<(&'static str, i16, Bytes)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split(' ');
            let mut word = || words.next().expect("a line has three words");
            let (name, version, hex) = (word(), word().parse().unwrap(), word());
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
            (name, version, bytes.into())
        })
        .collect()
}
