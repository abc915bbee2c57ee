//! Requests that read or change the configs of topics and brokers.

use crate::StrBytes;
use crate::fields::fields;
use crate::seq::Seq;

fields! {
    /// Asks for configs.
    pub struct DescribeConfigsRequest {
        /// The resources.
        resources: Seq<DescribeConfigsResource>,
        /// Whether to say for each config where values for it come from.
        include_synonyms: bool,
        /// Whether to add each config's documentation.
        include_documentation: bool [3+],
    }

    /// A resource whose configs are asked for.
    pub struct DescribeConfigsResource {
        /// What kind of resource it is.
        resource_type: i8,
        /// Its name.
        resource_name: StrBytes,
        /// The keys asked for; null for all.
        configuration_keys: Option<Seq<StrBytes>>,
    }
}

fields! {
    /// Replaces all configs of resources.
    pub struct AlterConfigsRequest {
        /// The resources.
        resources: Seq<AlterConfigsResource>,
        /// Whether to check everything and change nothing.
        validate_only: bool,
    }

    /// A resource whose configs are replaced.
    pub struct AlterConfigsResource {
        /// What kind of resource it is.
        resource_type: i8,
        /// Its name.
        resource_name: StrBytes,
        /// All the configs that it shall have.
        configs: Seq<AlterableConfig>,
    }

    /// A config to set.
    pub struct AlterableConfig {
        /// The config's key.
        name: StrBytes,
        /// Its value.
        value: Option<StrBytes>,
    }
}

fields! {
    /// Changes single configs of resources (KIP-339).
    pub struct IncrementalAlterConfigsRequest {
        /// The resources.
        resources: Seq<IncrementalAlterConfigsResource>,
        /// Whether to check everything and change nothing.
        validate_only: bool,
    }

    /// A resource with configs to change.
    pub struct IncrementalAlterConfigsResource {
        /// What kind of resource it is.
        resource_type: i8,
        /// Its name.
        resource_name: StrBytes,
        /// The changes.
        configs: Seq<IncrementalAlterableConfig>,
    }

    /// A config to change.
    pub struct IncrementalAlterableConfig {
        /// The config's key.
        name: StrBytes,
        /// 0 to set it, 1 to delete it, 2 and 3 to add to or take from a list.
        config_operation: i8,
        /// The value to set, add or take.
        value: Option<StrBytes>,
    }
}

fields! {
    /// Asks which resources can have configs (KIP-1142); version 0 asks for client metrics only.
    pub struct ListConfigResourcesRequest {
        /// The kinds of resources; none for all.
        resource_types: Vec<i8> [1+],
    }
}
