//! From the bytes of a request's body to the request, past the guard.

use bytes::Bytes;
use thiserror::Error;

use crate::ApiKey;
use crate::api::{Api, Request};
use crate::field::Form;
use crate::guard::{self, Malformed, Size};
use crate::header::RequestHeader;

/// Who counts the memory that requests take.
pub trait Charge {
    /// Takes `bytes` out of what may still be used.
    ///
    /// # Errors
    /// [`OverBudget`] where so much is not left; nothing was taken then.
    fn charge(&mut self, bytes: usize) -> Result<(), OverBudget>;
}

/// The memory for requests is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the request needs {bytes} bytes of memory, which the limits do not allow now")]
pub struct OverBudget {
    /// The bytes that were asked for.
    pub bytes: usize,
}

/// Decodes the body of a request: [`Checked::new`], a charge for its memory, [`Checked::decode`].
///
/// # Errors
/// [`DecodeError`]; the connection must be closed, except that an unsupported version of
/// ApiVersions is answered with [`crate::encode_unsupported_version`].
pub fn decode_request(
    header: &RequestHeader,
    body: Bytes,
    budget: &mut dyn Charge,
) -> Result<Request, DecodeError> {
    let checked = Checked::new(header, body)?;
    budget.charge(checked.memory())?;
    checked.decode()
}

/// The body of a request that passed the guard: decoding it takes the memory that it says.
#[derive(Clone, Debug)]
pub struct Checked {
    api: &'static Api,
    version: i16,
    body: Bytes,
    size: Size,
}

impl Checked {
    /// Lets the guard walk over `body`; allocates nothing.
    ///
    /// # Errors
    /// [`DecodeError`]; see [`decode_request`].
    pub fn new(header: &RequestHeader, body: Bytes) -> Result<Self, DecodeError> {
        let (api, version) = (header.api(), header.api_version);
        if !api.versions.contains(&version) {
            return Err(DecodeError::UnsupportedVersion {
                api_key: api.key,
                api_version: version,
            });
        }
        let size = guard::check(api.request, api.encoding(version), &body)?;
        Ok(Self {
            api,
            version,
            body,
            size,
        })
    }

    /// The bytes of memory that the decoded request takes, beyond those of its body, which its
    /// strings and records go on to use.
    #[must_use]
    pub const fn memory(&self) -> usize {
        self.size.memory
    }

    /// How much it asks for.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Decodes the request.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] where a string is not UTF-8, which the guard does not look at.
    pub fn decode(self) -> Result<Request, DecodeError> {
        let form = Form::of(self.api.encoding(self.version));
        let read = Request::read(self.api, &self.body, form);
        read.map_err(|fault| {
            DecodeError::Malformed(Malformed {
                message: self.api.request.name,
                field: self.api.request.name,
                position: 0,
                fault,
            })
        })
    }
}

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The version is not served; only ApiVersions gets as far as this with one.
    #[error("a request asks for {api_key} version {api_version}, which is not served")]
    UnsupportedVersion {
        /// The API.
        api_key: ApiKey,
        /// The version asked for.
        api_version: i16,
    },
    /// The bytes are not the request that the header says.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The decoded request would take too much memory at the moment.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
}
