//! How the controller refuses.

use ottla_protocol::ErrorCode;

/// A refusal as a client sees it: Kafka's code and a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// The code.
    pub code: ErrorCode,
    /// The text.
    pub message: String,
}

/// What the controller answers for one thing that was asked.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// A refusal with a text of its own.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }
}

impl From<ErrorCode> for ApiError {
    /// A refusal whose code says all.
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.message())
    }
}
