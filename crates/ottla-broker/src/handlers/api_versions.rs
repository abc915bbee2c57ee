//! ApiVersions: what this broker can do, and who the client says it is.

use ottla_protocol::ErrorCode;
use ottla_protocol::api::Listener;
use ottla_protocol::api_versions::{ApiVersionsRequest, ApiVersionsResponse};

use super::Context;
use crate::features;

pub(crate) fn handle(context: &Context, request: &ApiVersionsRequest) -> ApiVersionsResponse {
    let image = &context.image;
    let node_id = context.core.node_id().get();
    let refusal = request.check(context.version, image.cluster_id(), node_id);
    if refusal != ErrorCode::None {
        return ApiVersionsResponse::refusal(refusal);
    }
    if context.version >= 3 {
        let (name, version) = (
            &request.client_software_name,
            &request.client_software_version,
        );
        context.session.introduce(name, version);
    }
    let features = features::of(image);
    // The features are as new as the image that they are in.
    let epoch = image.end().get() - 1;
    ApiVersionsResponse::new(context.version, Listener::Broker, &features, epoch)
}
