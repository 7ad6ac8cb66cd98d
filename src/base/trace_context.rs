//! Where a request stands in a distributed trace, by W3C's Trace Context: what came with it, and what goes on with each call
//! that is made for it.
//! Source: <https://www.w3.org/TR/trace-context/>.
//!
//! What came is taken only when it is valid to the letter, and nothing is made up: without a valid `traceparent` there is no
//! trace, unless the bridge records spans of its own (`telemetry`'s `traces`), and then it begins one.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};

/// W3C's header for the trace and the span that a request belongs to.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// W3C's header for what the systems along a trace note for themselves.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The least length that W3C asks to pass on. A longer one is dropped.
const TRACESTATE_BYTES: usize = 512;

/// `00-` trace ID `-` parent ID `-` flags.
const VERSION_00_BYTES: usize = 55;

/// What came with a request.
#[derive(Debug, Clone)]
pub struct TraceContext {
    traceparent: HeaderValue,
    tracestate: Option<HeaderValue>,
    span: SpanContext,
}

impl TraceContext {
    /// `None` where there is no valid `traceparent`, or more than one.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let (traceparent, None) = (values.next()?, values.next()) else { return None };
        let (trace_id, parent_id, flags) = parse(traceparent.as_bytes())?;
        let (tracestate, state) = tracestate(headers).unzip();
        let span = SpanContext::new(trace_id, parent_id, flags, true, state.unwrap_or_default());
        Some(Self { traceparent: traceparent.clone(), tracestate, span })
    }

    /// The caller's span.
    #[must_use]
    pub const fn span(&self) -> &SpanContext {
        &self.span
    }
}

/// The fields of a `traceparent`: of version 00 to the letter; of a later one, those that 00 has.
fn parse(value: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (fields, rest) = value.split_at_checked(VERSION_00_BYTES)?;
    let version = hex(&fields[..2])?;
    let has_dashes = [2, 35, 52].into_iter().all(|at| fields[at] == b'-');
    let may_have_more = version != 0 && rest.first() == Some(&b'-');
    if version == 0xff || !has_dashes || !(rest.is_empty() || may_have_more) {
        return None;
    }
    let trace_id = TraceId::from(hex(&fields[3..35])?);
    let parent_id = SpanId::from(u64::try_from(hex(&fields[36..52])?).ok()?);
    let flags = TraceFlags::new(u8::try_from(hex(&fields[53..])?).ok()?) & TraceFlags::SAMPLED;
    (trace_id != TraceId::INVALID && parent_id != SpanId::INVALID).then_some((trace_id, parent_id, flags))
}

/// Of lower-case digits alone.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}

/// `None` where there is none, or one that is not valid: that never spoils the `traceparent`.
fn tracestate(headers: &HeaderMap) -> Option<(HeaderValue, TraceState)> {
    let values = headers.get_all(TRACESTATE).iter().map(|value| value.to_str().ok()).collect::<Option<Vec<_>>>()?;
    let joined = values.join(",");
    let state: TraceState = joined.parse().ok()?;
    let is_some = !state.header().is_empty() && joined.len() <= TRACESTATE_BYTES;
    Some((HeaderValue::from_str(&joined).ok().filter(|_| is_some)?, state))
}

/// What the calls for one request carry.
#[derive(Debug, Clone, Default)]
pub enum Propagation {
    /// Nothing: it belongs to no trace.
    #[default]
    Nothing,
    /// What came, unchanged: the bridge records no spans.
    Unchanged(Box<TraceContext>),
    /// A span of its own each, below this one.
    Spans(Box<SpanContext>),
}

impl Propagation {
    /// The ID of the next call's span; an invalid one where calls are no spans.
    #[must_use]
    pub fn next_span(&self) -> SpanId {
        match self {
            Self::Nothing | Self::Unchanged(_) => SpanId::INVALID,
            Self::Spans(_) => RandomIdGenerator::default().new_span_id(),
        }
    }

    /// Whether calls are noted, to be exported.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        matches!(self, Self::Spans(parent) if parent.is_sampled())
    }

    /// Writes what the call with this span carries.
    pub fn write(&self, span: SpanId, metadata: &mut HeaderMap) {
        let (traceparent, tracestate) = match self {
            Self::Nothing => return,
            Self::Unchanged(context) => (Some(context.traceparent.clone()), context.tracestate.clone()),
            Self::Spans(parent) => (
                HeaderValue::try_from(traceparent(parent, span)).ok(),
                HeaderValue::try_from(parent.trace_state().header()).ok().filter(|state| !state.is_empty()),
            ),
        };
        let values = [(TRACEPARENT, traceparent), (TRACESTATE, tracestate)];
        for (name, value) in values.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            metadata.insert(name, value);
        }
    }
}

fn traceparent(parent: &SpanContext, span: SpanId) -> String {
    format!("00-{}-{span}-{:02x}", parent.trace_id(), parent.trace_flags())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACEPARENT_00: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(values: &[(HeaderName, &str)]) -> HeaderMap {
        values.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect()
    }

    fn passed_on(propagation: &Propagation, span: SpanId) -> [Option<String>; 2] {
        let mut metadata = HeaderMap::new();
        propagation.write(span, &mut metadata);
        [TRACEPARENT, TRACESTATE].map(|name| metadata.get(name).map(|value| value.to_str().expect("ASCII").to_owned()))
    }

    fn unchanged(headers: &HeaderMap) -> [Option<String>; 2] {
        passed_on(&Propagation::Unchanged(Box::new(TraceContext::of(headers).expect("valid"))), SpanId::INVALID)
    }

    #[test]
    fn what_w3c_shows_is_read() {
        let context = TraceContext::of(&headers(&[(TRACEPARENT, TRACEPARENT_00)])).expect("valid");
        assert_eq!(context.span().trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.span().span_id().to_string(), "b7ad6b7169203331");
        assert!(context.span().is_sampled() && context.span().is_remote());
        let later = format!("cc-{}-09-what-the-future-will-be-like", &TRACEPARENT_00[3..52]);
        assert!(TraceContext::of(&headers(&[(TRACEPARENT, &later)])).expect("valid").span().is_sampled());
    }

    #[test]
    fn what_is_not_valid_to_the_letter_is_no_traceparent() {
        for wrong in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-00",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-+1",
            "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(TraceContext::of(&headers(&[(TRACEPARENT, wrong)])).is_none(), "{wrong}");
        }
        assert!(TraceContext::of(&HeaderMap::new()).is_none());
        let mut two = headers(&[(TRACEPARENT, TRACEPARENT_00)]);
        two.append(TRACEPARENT, HeaderValue::from_static(TRACEPARENT_00));
        assert!(TraceContext::of(&two).is_none());
    }

    #[test]
    fn a_tracestate_is_passed_on_whole_or_not_at_all() {
        let with = |states: &[&str]| {
            let mut headers = headers(&[(TRACEPARENT, TRACEPARENT_00)]);
            for state in states {
                headers.append(TRACESTATE, state.parse().expect("a value"));
            }
            let [traceparent, tracestate] = unchanged(&headers);
            assert_eq!(traceparent.as_deref(), Some(TRACEPARENT_00));
            tracestate
        };
        assert_eq!(
            with(&["rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE"]).as_deref(),
            Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE")
        );
        assert_eq!(with(&[]), None);
        assert_eq!(with(&["no list"]), None);
        assert_eq!(with(&[&format!("a={}", "v".repeat(250)), &format!("b={}", "v".repeat(250)), "c=d,e=ff"]), None);
    }

    #[test]
    fn a_call_that_is_a_span_names_itself_as_the_parent() {
        let context = TraceContext::of(&headers(&[(TRACEPARENT, TRACEPARENT_00), (TRACESTATE, "a=b")])).expect("valid");
        let spans = Propagation::Spans(Box::new(context.span().clone()));
        let span = spans.next_span();
        let expected = format!("00-0af7651916cd43dd8448eb211c80319c-{span}-01");
        assert_eq!(passed_on(&spans, span), [Some(expected), Some("a=b".to_owned())]);
        assert_ne!(span, spans.next_span());
        assert_eq!(passed_on(&Propagation::Nothing, span), [None, None]);
    }

    proptest! {
        #[test]
        fn every_valid_traceparent_is_read_and_passed_on_byte_for_byte(
            version in 0_u8..=0xfe, trace_id in 1_u128.., span_id in 1_u64.., flags: u8, more in "(-[ -~]{0,20})?"
        ) {
            let more = if version == 0 { String::new() } else { more };
            let more = more.trim_end();
            let text = format!("{version:02x}-{trace_id:032x}-{span_id:016x}-{flags:02x}{more}");
            let headers = headers(&[(TRACEPARENT, &text)]);
            let context = TraceContext::of(&headers).expect("valid");
            prop_assert_eq!(context.span().trace_id(), TraceId::from(trace_id));
            prop_assert_eq!(context.span().span_id(), SpanId::from(span_id));
            prop_assert_eq!(context.span().is_sampled(), flags & 1 == 1);
            let [passed_on, _] = unchanged(&headers);
            prop_assert_eq!(passed_on, Some(text));
        }

        #[test]
        fn one_wrong_byte_in_a_field_is_one_too_many(at in 0..VERSION_00_BYTES, byte in any::<u8>()) {
            let mut bytes = TRACEPARENT_00.as_bytes().to_vec();
            let is_right = match at {
                2 | 35 | 52 => byte == b'-',
                _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
            };
            bytes[at] = byte;
            let is_version_00 = bytes.starts_with(b"00");
            prop_assume!(!bytes.starts_with(b"ff"));
            prop_assert_eq!(parse(&bytes).is_some(), is_right);
            bytes.push(b'-');
            prop_assert_eq!(parse(&bytes).is_some(), is_right && !is_version_00);
        }

        #[test]
        fn nothing_that_is_sent_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            parse(&bytes);
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = headers(&[(TRACEPARENT, TRACEPARENT_00)]);
                headers.insert(TRACESTATE, value);
                prop_assert!(TraceContext::of(&headers).is_some());
            }
        }
    }
}
