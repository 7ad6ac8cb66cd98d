//! The mock's control port: a test in any language sets the rules and reads the calls.
//!
//! | endpoint | answers |
//! | --- | --- |
//! | `GET /rules` | the rules in force, as they were written |
//! | `PUT /rules` | puts those of the body in force, YAML or JSON as in a rules file, 1 MiB at most; 400 says what is wrong with them |
//! | `GET /calls` | JSON: `{"dropped": 0, "calls": [...]}`, from the oldest to the newest |
//! | `DELETE /calls` | forgets them |
//! | `POST /reset` | the rules that the mock was started with, or those of its file, sequences at their first answer, and no calls |
//!
//! Answers are plain text, one line, unless said otherwise. Requests of web pages are rejected.

use std::{io, net::SocketAddr};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::StreamExt as _;
use http::{StatusCode, header};
use tokio::{net::TcpListener, time::timeout};

use super::control::MockControl;
use super::rules::{MAX_BYTES as RULES_BYTES, Rules};
use crate::server::admin::plain_http::{self, BODY_TIME, Said, json, say, wrong_method};

/// A control port that is bound to its address.
#[derive(Debug)]
pub struct ControlPort {
    control: MockControl,
    listener: TcpListener,
    address: SocketAddr,
}

impl ControlPort {
    /// Listens on `address`, to steer this mock, whose calls are kept from now on. Port 0 takes a free one. To be called
    /// on a runtime.
    ///
    /// # Errors
    ///
    /// Where the address cannot be listened on.
    pub fn bind(address: SocketAddr, control: MockControl) -> io::Result<Self> {
        let listener = TcpListener::from_std(plain_http::bind(address)?)?;
        let address = listener.local_addr()?;
        control.keep_calls();
        Ok(Self { control, listener, address })
    }

    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Never completes.
    pub async fn serve(self) {
        plain_http::serve(self.listener, router(self.control)).await;
    }
}

fn router(control: MockControl) -> Router {
    Router::new()
        .route("/rules", get(rules).put(set_rules))
        .route("/calls", get(calls).delete(clear_calls))
        .route("/reset", post(reset))
        .method_not_allowed_fallback(wrong_method)
        .fallback(not_found)
        .layer(from_fn(not_from_a_page))
        .with_state(control)
}

async fn rules(State(control): State<MockControl>) -> Response {
    ([(header::CONTENT_TYPE, "application/yaml")], control.rules().text().to_owned()).into_response()
}

async fn set_rules(State(control): State<MockControl>, body: Body) -> Said {
    let body = match timeout(BODY_TIME, whole(body)).await {
        Ok(Ok(Some(body))) => body,
        Ok(Ok(None)) => return say(StatusCode::PAYLOAD_TOO_LARGE, "the rules must be 1 MiB at most"),
        Ok(Err(_)) => return say(StatusCode::BAD_REQUEST, "the rules must come whole"),
        Err(_) => return say(StatusCode::REQUEST_TIMEOUT, "the rules must come within 5 s"),
    };
    let Ok(text) = String::from_utf8(body) else {
        return say(StatusCode::BAD_REQUEST, "the rules must be UTF-8");
    };
    match Rules::parse("the body", &text) {
        Ok(rules) => {
            control.set_rules(rules);
            say(StatusCode::OK, "these rules are in force")
        }
        Err(wrong) => say(StatusCode::BAD_REQUEST, &wrong.to_string()),
    }
}

/// `None`: it is too large. It is still read to its end: most clients lose an answer that comes before.
async fn whole(body: Body) -> Result<Option<Vec<u8>>, axum::Error> {
    let mut pieces = body.into_data_stream();
    let mut bytes = Some(Vec::new());
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        bytes = bytes.filter(|bytes| bytes.len() + piece.len() <= RULES_BYTES);
        if let Some(bytes) = &mut bytes {
            bytes.extend_from_slice(&piece);
        }
    }
    Ok(bytes)
}

async fn calls(State(control): State<MockControl>) -> Response {
    json(&serde_json::json!(control.calls()))
}

async fn clear_calls(State(control): State<MockControl>) -> Said {
    control.clear_calls();
    say(StatusCode::OK, "the recorded calls are deleted")
}

async fn reset(State(control): State<MockControl>) -> Said {
    control.reset();
    say(StatusCode::OK, "reset to the state at the start")
}

/// A browser names the page that sends a request, and no page of ours does.
async fn not_from_a_page(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        return say(StatusCode::FORBIDDEN, "not from a web page").into_response();
    }
    next.run(request).await
}

async fn not_found() -> Said {
    say(StatusCode::NOT_FOUND, "not here; there is: GET and PUT /rules; GET and DELETE /calls; POST /reset")
}
