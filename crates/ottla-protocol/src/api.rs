//! The one table of the APIs that are served: versions, encoding, listeners, authorisation.
//!
//! The answer to ApiVersions, the decoding of requests, their authorisation and docs/PROTOCOL.md
//! all come from here. An API that is not in the table does not exist for a client.

mod table;

use std::ops::RangeInclusive;

use crate::ApiKey;
use crate::acl::Need;
use crate::guard::Encoding;
use crate::shape::Shape;

pub use table::{APIS, Request, Response};

/// An API that is served.
#[derive(Clone, Debug)]
pub struct Api {
    /// Its key.
    pub key: ApiKey,
    /// The versions that are answered.
    pub versions: RangeInclusive<i16>,
    /// The lowest version that ApiVersions names, which may be below those that are answered.
    pub advertised_min: i16,
    /// Whether ApiVersions names it.
    pub advertised: bool,
    /// The first version with compact lengths and tagged fields (KIP-482).
    pub flexible_from: i16,
    /// Where it may be asked.
    pub listeners: &'static [Listener],
    /// What a request must be allowed to do.
    pub needs: &'static [Need],
    /// What a request looks like: the guard walks it.
    pub request: &'static Shape,
}

impl Api {
    /// Kafka's name of the API.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.key.name()
    }

    /// Whether `version` is encoded with compact lengths and tagged fields.
    #[must_use]
    pub const fn is_flexible(&self, version: i16) -> bool {
        version >= self.flexible_from
    }

    /// How `version` is encoded.
    #[must_use]
    pub const fn encoding(&self, version: i16) -> Encoding {
        Encoding {
            version,
            flexible: self.is_flexible(version),
        }
    }

    /// The version of the header before a response of `version`.
    ///
    /// ApiVersions has the old one always, since a client reads it before it knows what the broker
    /// speaks (KIP-511).
    #[must_use]
    pub const fn response_header_version(&self, version: i16) -> i16 {
        match self.key {
            ApiKey::ApiVersions => 0,
            _ if self.is_flexible(version) => 1,
            _ => 0,
        }
    }
}

/// A kind of listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// One for clients and other brokers.
    Broker,
    /// One for the members of the metadata quorum.
    Controller,
}

/// The entry of `key`; `None` where the API is not served.
#[must_use]
pub fn find(key: ApiKey) -> Option<&'static Api> {
    let index = APIS.binary_search_by_key(&key, |api| api.key).ok()?;
    APIS.get(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_finds_each_row() {
        assert!(APIS.is_sorted_by_key(|api| api.key));
        for api in APIS {
            let found = find(api.key).expect("the row is in the table");
            assert!(std::ptr::eq(found, api), "{} has two rows", api.name());
        }
        assert!(find(ApiKey::LeaderAndIsr).is_none());
    }

    #[test]
    fn an_independent_table_agrees_on_versions_and_encoding() {
        for api in APIS {
            let theirs = kafka_protocol::messages::ApiKey::try_from(api.key.key())
                .expect("the independent table knows every key served here");
            let range = theirs.valid_versions();
            let max = match api.key {
                // What that table lacks.
                ApiKey::ListOffsets
                | ApiKey::DescribeLogDirs
                | ApiKey::ApiVersions
                | ApiKey::DeleteGroups => range.max + 1,
                // What it has although Kafka does not offer it.
                ApiKey::InitProducerId => range.max - 1,
                _ => range.max,
            };
            assert_eq!(api.versions, range.min..=max, "{}", api.name());
            for version in range.min..=range.max {
                let flexible = theirs.request_header_version(version) == 2;
                assert_eq!(
                    api.is_flexible(version),
                    flexible,
                    "{} v{version}",
                    api.name()
                );
                let header = theirs.response_header_version(version);
                assert_eq!(
                    api.response_header_version(version),
                    header,
                    "{}",
                    api.name()
                );
            }
        }
    }

    #[test]
    fn only_produce_advertises_less_than_it_answers() {
        for api in APIS {
            let lower = api.advertised_min != *api.versions.start();
            assert_eq!(lower, api.key == ApiKey::Produce, "{}", api.name());
            assert!(api.advertised_min <= *api.versions.start());
        }
    }
}
