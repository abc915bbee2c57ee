//! Frames that are not a request, or not one that a broker serves.

use serde_json::json;

use super::Result;
use crate::differential::{
    recorder::{Recorder, header},
    schema::Api,
    wire::framed,
};

/// A request that any broker answers with few bytes: ListOffsets version 1 of no topics.
fn plain_body() -> Vec<u8> {
    [(-1_i32).to_be_bytes(), 0_i32.to_be_bytes()].concat()
}

pub(super) fn frames(r: &mut Recorder) -> Result {
    let request = |key: i16, version: i16, flexible: bool, body: &[u8]| {
        framed(&[&header(key, version, flexible), body].concat())
    };
    let plain = request(2, 1, false, &plain_body());
    r.raw("a small request", &plain)?;
    r.raw(
        "bytes after the request",
        &request(2, 1, false, &[&plain_body()[..], &[0; 5]].concat()),
    )?;
    r.raw(
        "a request that is cut off",
        &request(2, 1, false, &plain_body()[..6]),
    )?;
    r.raw("no body", &request(2, 1, false, &[]))?;
    r.raw("a length of -1", &(-1_i32).to_be_bytes())?;
    r.raw("a length of 2 GiB", &i32::MAX.to_be_bytes())?;
    r.raw("a length of 101 MiB", &(101_i32 << 20).to_be_bytes())?;
    r.raw("a length of 0", &0_i32.to_be_bytes())?;
    r.raw("a frame of one byte", &framed(&[0]))?;
    r.raw("a frame of a key and a version", &framed(&[0, 2, 0, 1]))?;
    let mut anonymous = header(2, 1, false)[..8].to_vec();
    anonymous.extend([0xff, 0xff]);
    anonymous.extend(plain_body());
    r.raw("no client id", &framed(&anonymous))?;
    anonymous[8..10].copy_from_slice(&[0x7f, 0xff]);
    r.raw("a client id past the end", &framed(&anonymous))?;
    let flexible = [&(-1_i32).to_be_bytes()[..], &[0, 1, 0]].concat();
    r.raw("a flexible request", &request(2, 6, true, &flexible))?;
    let mut tagged = header(2, 6, false);
    tagged.extend([1, 99, 3, 1, 2, 3]);
    r.raw(
        "unknown tags in the header",
        &framed(&[tagged, flexible.clone()].concat()),
    )?;
    let bomb = [&(-1_i32).to_be_bytes()[..], &i32::MAX.to_be_bytes()].concat();
    r.raw("a list longer than the frame", &request(2, 1, false, &bomb))?;
    let negative = [&(-1_i32).to_be_bytes()[..], &(-7_i32).to_be_bytes()].concat();
    r.raw(
        "a list of a negative length",
        &request(2, 1, false, &negative),
    )?;
    r.raw(
        "TLS",
        &[
            0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03,
        ],
    )?;
    r.raw("HTTP", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    for key in [-1, 4, 7, 52, 62, 999] {
        r.raw(&format!("the API key {key}"), &request(key, 0, false, &[]))?;
    }
    Ok(())
}

pub(super) fn versions(r: &mut Recorder) -> Result {
    for api in Api::all().iter().filter(|api| api.name != "ApiVersions") {
        let (first, last) = (*api.versions.start(), *api.versions.end());
        // Produce is announced from 0 on, for old librdkafka, and served from 3 on.
        for version in [first - 1, last + 1] {
            r.one(
                api.name,
                "a version that is not served",
                version,
                &json!({}),
            )?;
        }
    }
    for version in [-1, 77] {
        r.one(
            "ApiVersions",
            "a version that is not served",
            version,
            &json!({}),
        )?;
    }
    Ok(())
}
