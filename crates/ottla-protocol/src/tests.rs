//! Properties of the codec and the guard over all APIs and versions.

pub(crate) mod filler;
mod guard;
mod oracle;
mod requests;
mod responses;

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
