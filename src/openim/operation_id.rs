//! OpenIM's ID for tracing one operation across services.

use http::{HeaderName, HeaderValue};

/// The header that carries the operation ID. OpenIM sends `Operationid`; HTTP compares without case.
pub const OPERATION_ID_HEADER: HeaderName = HeaderName::from_static("operationid");

/// Up to this many bytes are passed on in gRPC metadata.
const METADATA_BYTES: usize = 256;

/// An operation ID: free text of whoever calls OpenIM's API, of any length and any bytes, not unique and never a key.
/// Not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationId(String);

impl OperationId {
    /// From the header's bytes; those that are not UTF-8 become U+FFFD. `None` when empty.
    #[must_use]
    pub fn from_header(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        // Mostly all of them are, which is quickly seen.
        let text = || match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => String::from_utf8_lossy(bytes).into_owned(),
        };
        (!bytes.is_empty()).then(|| Self(text()))
    }

    /// A new one, for a request that came without.
    #[must_use]
    pub fn generate() -> Self {
        Self(format!("bridge-{:016x}", fastrand::u64(..)))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For gRPC metadata: only where it is visible ASCII of at most 256 bytes.
    #[must_use]
    pub fn metadata(&self) -> Option<HeaderValue> {
        let visible = self.0.len() <= METADATA_BYTES && self.0.bytes().all(|byte| byte.is_ascii_graphic());
        visible.then(|| HeaderValue::from_str(&self.0).ok()).flatten()
    }
}
