//! Requests of clients that would push metrics of their own (KIP-714).

use bytes::Bytes;

use crate::client::Uuid;
use crate::fields::fields;

fields! {
    /// Asks which metrics to push.
    pub struct GetTelemetrySubscriptionsRequest {
        /// What the client was called in an earlier answer; zero for nothing yet.
        client_instance_id: Uuid,
    }
}

fields! {
    /// Brings metrics.
    pub struct PushTelemetryRequest {
        /// What the client was called in the answer to its question.
        client_instance_id: Uuid,
        /// The subscription of that answer.
        subscription_id: i32,
        /// Whether these are the last ones.
        terminating: bool,
        /// How they are compressed.
        compression_type: i8,
        /// The metrics, in OTLP.
        metrics: Bytes,
    }
}
