//! ApiVersions: what this broker can do, asked before anything else is known about either side.
//!
//! The answer lists the APIs of [`crate::api::APIS`] and the features of the cluster (KIP-584). A
//! version of the request that is not served is answered too, in the form of version 0, so that the
//! client can choose another (KIP-511).

use crate::api::{APIS, Api, Listener};
use crate::fields::fields;
use crate::{ApiKey, ErrorCode, StrBytes};

fields! {
    /// Asks what the broker can do.
    pub struct ApiVersionsRequest {
        /// The client's library; see [`is_software_name`].
        client_software_name: StrBytes [3+],
        /// The library's version; see [`is_software_name`].
        client_software_version: StrBytes [3+],
        /// The cluster that the client believes to talk to (KIP-1242); null for none.
        cluster_id: Option<StrBytes> [5+],
        /// The broker that the client believes to talk to; -1 for none.
        node_id: i32 [5+] = -1,
    }
}

fields! {
    /// What the broker can do.
    pub struct ApiVersionsResponse {
        /// 0, or why the request is refused.
        error_code: i16,
        /// The APIs.
        api_keys: Vec<ApiVersion>,
        /// How long the client was throttled.
        throttle_time_ms: i32 [1+],
        /// The features that the broker supports.
        supported_features: Vec<SupportedFeatureKey> [3+, tag 0],
        /// How new the finalized features are; -1 where that is not known.
        finalized_features_epoch: i64 [3+, tag 1] = -1,
        /// The features that the cluster has switched on.
        finalized_features: Vec<FinalizedFeatureKey> [3+, tag 2],
        /// Of the migration from ZooKeeper; always false.
        zk_migration_ready: bool [3+, tag 3],
    }

    /// An API and its versions.
    pub struct ApiVersion {
        /// The API.
        api_key: i16,
        /// The lowest version.
        min_version: i16,
        /// The highest version.
        max_version: i16,
    }

    /// A feature that is supported.
    pub struct SupportedFeatureKey {
        /// The feature's name.
        name: StrBytes,
        /// The lowest level.
        min_version: i16,
        /// The highest level.
        max_version: i16,
    }

    /// A feature that is switched on.
    pub struct FinalizedFeatureKey {
        /// The feature's name.
        name: StrBytes,
        /// The level that it is switched on at, as the highest and as the lowest.
        max_version_level: i16,
        /// The same level.
        min_version_level: i16,
    }
}

/// A feature of the cluster: what this broker supports, and what is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name, for example `metadata.version`.
    pub name: &'static str,
    /// The lowest level that this broker supports.
    pub min: i16,
    /// The highest level that this broker supports.
    pub max: i16,
    /// The level that is switched on; 0 for off.
    pub level: i16,
}

impl ApiVersionsResponse {
    /// The answer to a request of `version` that came in on a `listener`: its APIs, and `features`
    /// as of `features_epoch`.
    #[must_use]
    pub fn new(
        version: i16,
        listener: Listener,
        features: &[Feature],
        features_epoch: i64,
    ) -> Self {
        // Clients before version 4 refuse a feature that begins at 0 (KAFKA-17011).
        let shown = |f: &&Feature| version >= 4 || f.min > 0;
        let named = |api: &&Api| api.advertised && api.listeners.contains(&listener);
        let apis = APIS.iter().filter(named);
        Self {
            api_keys: apis.map(ApiVersion::of).collect(),
            supported_features: features
                .iter()
                .filter(shown)
                .map(|feature| SupportedFeatureKey {
                    name: StrBytes::from_static_str(feature.name),
                    min_version: feature.min,
                    max_version: feature.max,
                })
                .collect(),
            finalized_features_epoch: features_epoch,
            finalized_features: features
                .iter()
                .filter(|feature| feature.level > 0)
                .map(|feature| FinalizedFeatureKey {
                    name: StrBytes::from_static_str(feature.name),
                    max_version_level: feature.level,
                    min_version_level: feature.level,
                })
                .collect(),
            ..Self::default()
        }
    }

    /// A refusal of the request, for example with [`ErrorCode::InvalidRequest`].
    #[must_use]
    pub fn refusal(error: ErrorCode) -> Self {
        Self {
            error_code: error.code(),
            ..Self::default()
        }
    }
}

impl ApiVersion {
    fn of(api: &Api) -> Self {
        Self {
            api_key: api.key.key(),
            min_version: api.advertised_min,
            max_version: *api.versions.end(),
        }
    }
}

/// The answer to a version of the request that is not served: a body of version 0 with error 35
/// and the versions of ApiVersions itself.
pub(crate) fn unsupported_version() -> ApiVersionsResponse {
    let own = APIS.iter().filter(|api| api.key == ApiKey::ApiVersions);
    ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: own.map(ApiVersion::of).collect(),
        ..ApiVersionsResponse::default()
    }
}

impl ApiVersionsRequest {
    /// What is to be answered to this request of `version`, by the broker `node_id` of
    /// `cluster_id`: [`ErrorCode::None`], or a refusal because of what the client says about
    /// itself (KIP-511) or takes this broker for (KIP-1242).
    #[must_use]
    pub fn check(&self, version: i16, cluster_id: &str, node_id: i32) -> ErrorCode {
        let names = [&self.client_software_name, &self.client_software_version];
        if version >= 3 && !names.into_iter().all(|name| is_software_name(name)) {
            return ErrorCode::InvalidRequest;
        }
        match (self.cluster_id.as_deref(), self.node_id) {
            (None, -1) => ErrorCode::None,
            (None, _) | (Some(_), -1) => ErrorCode::InvalidRequest,
            (Some(cluster), node) if cluster == cluster_id && node == node_id => ErrorCode::None,
            (Some(_), _) => ErrorCode::RebootstrapRequired,
        }
    }
}

/// Whether `name` may be a library's name or version: letters, digits, `.` and `-`, neither of
/// these two at the ends (KIP-511).
#[must_use]
pub fn is_software_name(name: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-');
    let outer = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    outer(bytes.first()) && outer(bytes.last()) && bytes.iter().all(|&c| inner(c))
}
