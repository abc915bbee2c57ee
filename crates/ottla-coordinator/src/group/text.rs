//! Text that outlives its request.

use bytes::Bytes;
use ottla_protocol::StrBytes;

/// A copy of `text` in memory of its own. What is kept must be one: the original may be a slice of
/// a large request or batch, which it would hold in memory as a whole.
pub(super) fn own(text: &StrBytes) -> StrBytes {
    StrBytes::from_string(text.as_str().to_owned())
}

/// A copy of `text` in memory of its own, if there is one.
pub(super) fn own_or_none(text: Option<&StrBytes>) -> Option<StrBytes> {
    text.map(own)
}

/// A copy of `bytes` in memory of its own.
pub(super) fn own_bytes(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
