//! GetTelemetrySubscriptions and PushTelemetry (KIP-714), of a broker that nobody subscribes at.
//!
//! As a Kafka without a plugin that takes metrics: the answer names nothing to push, and what is
//! pushed all the same is dropped, unread where Kafka decompresses it first. Unlike Kafka, nothing
//! is remembered of a client: one that asks again too soon is answered and not throttled, which
//! costs no more than the refusal.

use ottla_log::crc::crc32c;
use ottla_protocol::ErrorCode;
use ottla_protocol::client::Uuid;
use ottla_protocol::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, PushTelemetryRequest,
    PushTelemetryResponse,
};

use super::Context;

/// When a client is to push next: Kafka's default, for a subscription that says nothing.
const PUSH_INTERVAL_MS: i32 = 5 * 60 * 1000;
/// Kafka's default of `telemetry.max.bytes`.
const MAX_BYTES: i32 = 1024 * 1024;
/// How metrics may be compressed, the best first: zstd, lz4, gzip, snappy.
const COMPRESSIONS: [i8; 4] = [4, 3, 1, 2];
const UNCOMPRESSED: i8 = 0;

pub(crate) fn subscriptions(
    context: &Context,
    request: &GetTelemetrySubscriptionsRequest,
) -> GetTelemetrySubscriptionsResponse {
    let asked = request.client_instance_id;
    let id = if asked.is_nil() {
        new_id(context)
    } else {
        asked
    };
    GetTelemetrySubscriptionsResponse::default()
        .with_client_instance_id(id)
        .with_subscription_id(subscription_of(id))
        .with_accepted_compression_types(COMPRESSIONS.to_vec())
        .with_push_interval_ms(PUSH_INTERVAL_MS)
        .with_telemetry_max_bytes(MAX_BYTES)
        .with_delta_temporality(true)
}

pub(crate) fn push(request: &PushTelemetryRequest) -> PushTelemetryResponse {
    let code = match check(request) {
        Ok(()) => ErrorCode::None,
        Err(code) => code,
    };
    PushTelemetryResponse::default().with_error_code(code.code())
}

fn check(request: &PushTelemetryRequest) -> Result<(), ErrorCode> {
    let id = request.client_instance_id;
    if is_reserved(id) {
        return Err(ErrorCode::InvalidRequest);
    }
    if request.subscription_id != subscription_of(id) {
        return Err(ErrorCode::UnknownSubscriptionId);
    }
    let compression = request.compression_type;
    if compression != UNCOMPRESSED && !COMPRESSIONS.contains(&compression) {
        return Err(ErrorCode::UnsupportedCompressionType);
    }
    if request.metrics.len() > MAX_BYTES.unsigned_abs() as usize {
        return Err(ErrorCode::TelemetryTooLarge);
    }
    Ok(())
}

/// The id of the subscription to nothing for one client: a checksum of what is subscribed to,
/// mixed with the client's id, so that a client sees when it changes.
fn subscription_of(client: Uuid) -> i32 {
    let (high, low) = client.as_u64_pair();
    let mixed = high ^ low;
    let hash = (mixed >> 32) as u32 ^ mixed as u32;
    let subscribed = crc32c(format!("[]{PUSH_INTERVAL_MS}").as_bytes());
    (subscribed ^ hash).cast_signed()
}

/// The ids that no client has: zero, and one, which the metadata topic has.
fn is_reserved(id: Uuid) -> bool {
    id.as_u128() <= 1
}

fn new_id(context: &Context) -> Uuid {
    let entropy = context.core.entropy();
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    // Of a random one (RFC 9562, version 4), which is never a reserved one.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Uuid::from_bytes(bytes)
}
