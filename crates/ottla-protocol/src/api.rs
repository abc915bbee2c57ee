//! The one table of the APIs that are served: versions, encoding, listeners, authorisation.
//!
//! The answer to ApiVersions, the decoding of requests, their authorisation and docs/PROTOCOL.md
//! all come from here. An API that is not in the table does not exist for a client.

use std::ops::RangeInclusive;

use crate::ApiKey;
use crate::acl::{AclOperation as Op, Need, ResourceType as On, Scope};

/// An API that is served.
#[derive(Clone, Debug)]
pub struct Api {
    /// Its key.
    pub key: ApiKey,
    /// The versions that are answered.
    pub versions: RangeInclusive<i16>,
    /// The lowest version that ApiVersions names, which may be below those that are answered.
    pub advertised_min: i16,
    /// The first version with compact lengths and tagged fields (KIP-482).
    pub flexible_from: i16,
    /// Where it may be asked.
    pub listeners: &'static [Listener],
    /// What a request must be allowed to do.
    pub needs: &'static [Need],
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
    APIS.iter().find(|api| api.key == key)
}

const BROKER: &[Listener] = &[Listener::Broker];
const BOTH: &[Listener] = &[Listener::Broker, Listener::Controller];
/// No version is flexible.
const NEVER: i16 = i16::MAX;

const fn need(scope: Scope, resource: On, operation: Op) -> Need {
    Need {
        resource,
        operation,
        scope,
    }
}

/// Declares the table, one row for each API.
macro_rules! apis {
    ($($key:ident {
        versions: $versions:expr,
        $(advertised from: $advertised:literal,)?
        flexible: $flexible:expr,
        listeners: $listeners:expr,
        needs: [$($scope:ident $resource:ident $operation:ident),*],
    })+) => {
        /// The APIs that are served, in the order of their keys.
        pub static APIS: &[Api] = &[$(Api {
            key: ApiKey::$key,
            versions: $versions,
            advertised_min: apis!(@or $versions $(, $advertised)?),
            flexible_from: $flexible,
            listeners: $listeners,
            needs: &[$(need(Scope::$scope, On::$resource, Op::$operation)),*],
        },)+];
    };
    (@or $versions:expr) => { *$versions.start() };
    (@or $versions:expr, $advertised:literal) => { $advertised };
}

apis! {
    Produce {
        versions: 3..=13,
        // librdkafka takes the lowest version for what codecs it may use (KAFKA-18659).
        advertised from: 0,
        flexible: 9,
        listeners: BROKER,
        needs: [Entry Topic Write, Request TransactionalId Write],
    }
    Fetch {
        versions: 4..=18,
        flexible: 12,
        listeners: BOTH,
        needs: [Entry Topic Read],
    }
    ListOffsets {
        versions: 1..=11,
        flexible: 6,
        listeners: BROKER,
        needs: [Entry Topic Describe],
    }
    Metadata {
        versions: 0..=13,
        flexible: 9,
        listeners: BROKER,
        needs: [Entry Topic Describe, Extra Cluster Create, Extra Topic Create],
    }
    FindCoordinator {
        versions: 0..=6,
        flexible: 3,
        listeners: BROKER,
        needs: [Entry Group Describe, Entry TransactionalId Describe],
    }
    SaslHandshake {
        versions: 0..=1,
        flexible: NEVER,
        listeners: BOTH,
        needs: [],
    }
    ApiVersions {
        versions: 0..=5,
        flexible: 3,
        listeners: BOTH,
        needs: [],
    }
    CreateTopics {
        versions: 2..=7,
        flexible: 5,
        listeners: BOTH,
        needs: [Cover Cluster Create, Entry Topic Create, Extra Topic DescribeConfigs],
    }
    DeleteTopics {
        versions: 1..=6,
        flexible: 4,
        listeners: BOTH,
        needs: [Entry Topic Describe, Entry Topic Delete],
    }
    DeleteRecords {
        versions: 0..=2,
        flexible: 2,
        listeners: BROKER,
        needs: [Entry Topic Delete],
    }
    InitProducerId {
        // Version 6 is not stable in Kafka 4.4 and not offered by it.
        versions: 0..=5,
        flexible: 2,
        listeners: BROKER,
        needs: [Request TransactionalId Write, Request Cluster IdempotentWrite],
    }
    OffsetForLeaderEpoch {
        versions: 2..=4,
        flexible: 4,
        listeners: BROKER,
        needs: [Entry Topic Describe],
    }
    DescribeAcls {
        versions: 1..=3,
        flexible: 2,
        listeners: BOTH,
        needs: [Request Cluster Describe],
    }
    CreateAcls {
        versions: 1..=3,
        flexible: 2,
        listeners: BOTH,
        needs: [Request Cluster Alter],
    }
    DeleteAcls {
        versions: 1..=3,
        flexible: 2,
        listeners: BOTH,
        needs: [Request Cluster Alter],
    }
    DescribeConfigs {
        versions: 1..=4,
        flexible: 4,
        listeners: BOTH,
        needs: [Entry Topic DescribeConfigs, Entry Cluster DescribeConfigs],
    }
    AlterConfigs {
        versions: 0..=2,
        flexible: 2,
        listeners: BOTH,
        needs: [Entry Topic AlterConfigs, Entry Cluster AlterConfigs],
    }
    DescribeLogDirs {
        versions: 1..=5,
        flexible: 2,
        listeners: BROKER,
        needs: [Request Cluster Describe],
    }
    SaslAuthenticate {
        versions: 0..=2,
        flexible: 2,
        listeners: BOTH,
        needs: [],
    }
    CreatePartitions {
        versions: 0..=3,
        flexible: 2,
        listeners: BOTH,
        needs: [Entry Topic Alter],
    }
    ElectLeaders {
        versions: 0..=2,
        flexible: 2,
        listeners: BOTH,
        needs: [Request Cluster Alter],
    }
    IncrementalAlterConfigs {
        versions: 0..=1,
        flexible: 1,
        listeners: BOTH,
        needs: [Entry Topic AlterConfigs, Entry Cluster AlterConfigs],
    }
    ListPartitionReassignments {
        versions: 0..=0,
        flexible: 0,
        listeners: BOTH,
        needs: [Request Cluster Describe],
    }
    DescribeClientQuotas {
        versions: 0..=1,
        flexible: 1,
        listeners: BROKER,
        needs: [Request Cluster DescribeConfigs],
    }
    DescribeUserScramCredentials {
        versions: 0..=0,
        flexible: 0,
        listeners: BOTH,
        needs: [Request Cluster Describe],
    }
    DescribeQuorum {
        versions: 0..=2,
        flexible: 0,
        listeners: BOTH,
        needs: [Request Cluster Describe],
    }
    DescribeCluster {
        versions: 0..=2,
        flexible: 0,
        listeners: BOTH,
        needs: [Extra Cluster Describe],
    }
    DescribeTopicPartitions {
        versions: 0..=0,
        flexible: 0,
        listeners: BROKER,
        needs: [Entry Topic Describe],
    }
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
                ApiKey::ListOffsets | ApiKey::DescribeLogDirs | ApiKey::ApiVersions => {
                    range.max + 1
                }
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
