//! What a broker without SASL, ACLs, quotas and SCRAM credentials answers about them.

use std::collections::BTreeSet;

use ottla_partition::metadata::controller::{ApiError, ApiResult};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_acls_response::AclCreationResult;
use ottla_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use ottla_protocol::messages::describe_user_scram_credentials_response as scram;
use ottla_protocol::messages::{
    CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse,
    DescribeAclsResponse, DescribeClientQuotasRequest, DescribeClientQuotasResponse,
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
    SaslAuthenticateResponse, SaslHandshakeResponse,
};

use super::Context;
use super::wire::{text, verdict};
use crate::authorizer::{AclOperation, Resource};

const NOT_CONFIGURED: &str = "No Authorizer is configured.";

/// A plaintext listener has nothing to negotiate.
pub(crate) fn sasl_handshake() -> SaslHandshakeResponse {
    SaslHandshakeResponse::default().with_error_code(ErrorCode::IllegalSaslState.code())
}

pub(crate) fn sasl_authenticate() -> SaslAuthenticateResponse {
    let message = "SaslAuthenticate request received after successful authentication";
    SaslAuthenticateResponse::default()
        .with_error_code(ErrorCode::IllegalSaslState.code())
        .with_error_message(Some(text(message)))
}

/// The answer to everything about ACLs; `why` they cannot be asked for or altered.
fn no_acls(context: &Context, operation: AclOperation, why: &str) -> ApiError {
    if context.allows(operation, Resource::Cluster) {
        ApiError::new(ErrorCode::SecurityDisabled, why)
    } else {
        ErrorCode::ClusterAuthorizationFailed.into()
    }
}

pub(crate) fn describe_acls(context: &Context) -> DescribeAclsResponse {
    let why = "No Authorizer is configured on the broker";
    let error = no_acls(context, AclOperation::Describe, why);
    DescribeAclsResponse::default()
        .with_error_code(error.code.code())
        .with_error_message(Some(text(error.message)))
}

pub(crate) fn create_acls(context: &Context, request: &CreateAclsRequest) -> CreateAclsResponse {
    let error = no_acls(context, AclOperation::Alter, NOT_CONFIGURED);
    let refused = AclCreationResult::default()
        .with_error_code(error.code.code())
        .with_error_message(Some(text(error.message)));
    CreateAclsResponse::default().with_results(vec![refused; request.creations.len()])
}

pub(crate) fn delete_acls(context: &Context, request: &DeleteAclsRequest) -> DeleteAclsResponse {
    let error = no_acls(context, AclOperation::Alter, NOT_CONFIGURED);
    let refused = DeleteAclsFilterResult::default()
        .with_error_code(error.code.code())
        .with_error_message(Some(text(error.message)));
    DeleteAclsResponse::default().with_filter_results(vec![refused; request.filters.len()])
}

pub(crate) fn describe_quotas(
    context: &Context,
    request: &DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    let checked = if context.allows(AclOperation::DescribeConfigs, Resource::Cluster) {
        check_filter(request)
    } else {
        Err(ErrorCode::ClusterAuthorizationFailed.into())
    };
    let (code, message) = verdict(&checked);
    DescribeClientQuotasResponse::default()
        .with_error_code(code)
        // Kafka leaves it empty where all is well, and never null.
        .with_error_message(Some(message.unwrap_or_default()))
        .with_entries(checked.is_ok().then(Vec::new))
}

/// The rules that a quota filter must keep (KIP-546).
fn check_filter(request: &DescribeClientQuotasRequest) -> ApiResult<()> {
    let invalid = |message: String| Err(ApiError::new(ErrorCode::InvalidRequest, message));
    let mut seen = BTreeSet::new();
    for component in &request.components {
        let entity = component.entity_type.as_str();
        if entity.is_empty() {
            return invalid("Invalid empty entity type.".to_owned());
        }
        if !seen.insert(entity) {
            let message =
                format!("Entity type {entity} cannot appear more than once in the filter.");
            return invalid(message);
        }
        if !matches!(entity, "ip" | "user" | "client-id") {
            let message = format!("Unsupported entity type {entity}");
            return Err(ApiError::new(ErrorCode::UnsupportedVersion, message));
        }
        match (component.match_type, component.match_name.is_some()) {
            (0, true) | (1 | 2, false) => {}
            (0, false) => {
                return invalid(
                    "Request specified MATCH_TYPE_EXACT, but set matchName to null.".to_owned(),
                );
            }
            (1, true) => {
                return invalid(
                    "Request specified MATCH_TYPE_DEFAULT, but also specified a matchName."
                        .to_owned(),
                );
            }
            (2, true) => {
                return invalid(
                    "Request specified MATCH_TYPE_SPECIFIED, but also specified a matchName."
                        .to_owned(),
                );
            }
            (other, _) => return invalid(format!("Unknown match type {other}")),
        }
    }
    if seen.contains("ip") && (seen.contains("user") || seen.contains("client-id")) {
        let message = "Invalid entity filter component combination, IP filter component should \
                       not be used with user or clientId filter component.";
        return invalid(message.to_owned());
    }
    Ok(())
}

pub(crate) fn describe_scram(
    context: &Context,
    request: &DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    if !context.allows(AclOperation::Describe, Resource::Cluster) {
        let code = ErrorCode::ClusterAuthorizationFailed;
        return DescribeUserScramCredentialsResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(text(code.message())));
    }
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for user in request.users.iter().flatten() {
        if !seen.insert(user.name.as_str()) {
            twice.insert(user.name.as_str());
        }
    }
    let result = |user: &str| {
        let (code, message) = if twice.contains(user) {
            let message = "Cannot describe SCRAM credentials for the same user twice in a single \
                           request: ";
            (ErrorCode::DuplicateResource, format!("{message}{user}"))
        } else {
            let message = "Attempt to describe a user credential that does not exist: ";
            (ErrorCode::ResourceNotFound, format!("{message}{user}"))
        };
        scram::DescribeUserScramCredentialsResult::default()
            .with_user(text(user))
            .with_error_code(code.code())
            .with_error_message(Some(text(message)))
    };
    let results = seen.iter().map(|user| result(user)).collect();
    DescribeUserScramCredentialsResponse::default().with_results(results)
}
