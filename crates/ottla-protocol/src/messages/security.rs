//! Requests about authentication, ACLs, quotas and credentials.

use bytes::Bytes;

use crate::StrBytes;
use crate::fields::fields;
use crate::seq::Seq;

fields! {
    /// Chooses a SASL mechanism.
    pub struct SaslHandshakeRequest {
        /// The mechanism's name.
        mechanism: StrBytes,
    }
}

fields! {
    /// A message of the SASL mechanism chosen before.
    pub struct SaslAuthenticateRequest {
        /// The mechanism's own bytes.
        auth_bytes: Bytes,
    }
}

fields! {
    /// Asks for the ACLs that match a filter.
    pub struct DescribeAclsRequest {
        /// The kind of resource; 1 for any.
        resource_type_filter: i8,
        /// The resource's name; null for any.
        resource_name_filter: Option<StrBytes>,
        /// How the name is matched: 1 any, 2 as an authorizer would, 3 literal, 4 prefixed.
        pattern_type_filter: i8 [1+] = 3,
        /// The principal; null for any.
        principal_filter: Option<StrBytes>,
        /// The host; null for any.
        host_filter: Option<StrBytes>,
        /// The operation; 1 for any.
        operation: i8,
        /// The permission; 1 for any.
        permission_type: i8,
    }
}

fields! {
    /// Creates ACLs.
    pub struct CreateAclsRequest {
        /// The ACLs.
        creations: Seq<AclCreation>,
    }

    /// An ACL to create.
    pub struct AclCreation {
        /// The kind of resource.
        resource_type: i8,
        /// The resource's name.
        resource_name: StrBytes,
        /// How the name is meant: 3 literal, 4 as a prefix.
        resource_pattern_type: i8 [1+] = 3,
        /// Who.
        principal: StrBytes,
        /// From where; `*` for anywhere.
        host: StrBytes,
        /// The operation.
        operation: i8,
        /// 2 to deny it, 3 to allow it.
        permission_type: i8,
    }
}

fields! {
    /// Deletes the ACLs that match filters.
    pub struct DeleteAclsRequest {
        /// The filters.
        filters: Seq<DeleteAclsFilter>,
    }

    /// A filter: what matches all of it is deleted.
    pub struct DeleteAclsFilter {
        /// The kind of resource; 1 for any.
        resource_type_filter: i8,
        /// The resource's name; null for any.
        resource_name_filter: Option<StrBytes>,
        /// How the name is matched: 1 any, 2 as an authorizer would, 3 literal, 4 prefixed.
        pattern_type_filter: i8 [1+] = 3,
        /// The principal; null for any.
        principal_filter: Option<StrBytes>,
        /// The host; null for any.
        host_filter: Option<StrBytes>,
        /// The operation; 1 for any.
        operation: i8,
        /// The permission; 1 for any.
        permission_type: i8,
    }
}

fields! {
    /// Asks for quotas (KIP-546).
    pub struct DescribeClientQuotasRequest {
        /// What the entities must match.
        components: Seq<ComponentData>,
        /// Whether entities with other types than those named are left out.
        strict: bool,
    }

    /// What one part of an entity must match.
    pub struct ComponentData {
        /// The type: `user`, `client-id` or `ip`.
        entity_type: StrBytes,
        /// 0 the name in `match_name`, 1 the default, 2 any name.
        match_type: i8,
        /// The name, or null where none is needed.
        match_name: Option<StrBytes>,
    }
}

fields! {
    /// Asks which SCRAM credentials users have (KIP-554).
    pub struct DescribeUserScramCredentialsRequest {
        /// The users; null or empty for all.
        users: Option<Seq<UserName>>,
    }

    /// A user.
    pub struct UserName {
        /// The user's name.
        name: StrBytes,
    }
}
