//! What a producer hears that wants transactions: at its first request, and in words.

use ottla_protocol::messages::{
    FindCoordinatorRequest, InitProducerIdRequest, InitProducerIdResponse,
};

use super::*;

#[test]
fn a_producer_with_a_transactional_id_is_refused_at_once() {
    let cluster = Cluster::open();
    for version in 0..=5 {
        let request = InitProducerIdRequest {
            transactional_id: Some(text("payments")),
            transaction_timeout_ms: 60_000,
            ..InitProducerIdRequest::default()
        };
        let answer: InitProducerIdResponse = ask!(cluster, version, InitProducerId, request);
        let said = (
            answer.error_code,
            answer.producer_id.0,
            answer.producer_epoch,
        );
        let refused = (ErrorCode::UnsupportedVersion.code(), -1, -1);
        assert_eq!(said, refused, "version {version}");
        // The same producer without transactions gets its id.
        let request = InitProducerIdRequest::default();
        let answer: InitProducerIdResponse = ask!(cluster, version, InitProducerId, request);
        assert_eq!(answer.error_code, 0, "version {version}");
        assert!(answer.producer_id.0 >= 0, "version {version}");
    }
}

#[test]
fn who_looks_for_a_transaction_coordinator_learns_what_to_do() {
    let cluster = Cluster::open();
    for version in 1..=3 {
        let request = FindCoordinatorRequest {
            key: text("payments"),
            key_type: 1,
            ..FindCoordinatorRequest::default()
        };
        let answer = ask!(cluster, version, FindCoordinator, request);
        let refused = ErrorCode::UnsupportedVersion.code();
        assert_eq!(answer.error_code, refused, "version {version}");
        let said = answer.error_message.unwrap_or_default();
        assert!(said.contains("remove transactional.id"), "{said}");
    }
    for version in 4..=6 {
        let request = FindCoordinatorRequest {
            key_type: 1,
            coordinator_keys: [text("payments"), text("refunds")].into(),
            ..FindCoordinatorRequest::default()
        };
        let answer = ask!(cluster, version, FindCoordinator, request);
        assert_eq!(answer.coordinators.len(), 2, "version {version}");
        for coordinator in answer.coordinators {
            let refused = ErrorCode::UnsupportedVersion.code();
            assert_eq!(coordinator.error_code, refused, "version {version}");
            let said = coordinator.error_message.unwrap_or_default();
            assert!(said.contains("remove transactional.id"), "{said}");
        }
    }
}
