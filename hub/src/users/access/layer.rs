//! The gate before all services: a row in the table, and somebody whom the API server knows.
//!
//! In: a request. Out: the same with its [`Caller`], or a status. Law: a method that is neither open nor in the table
//! never reaches a service. Not: whether the caller may (`authz.rs`, asked by the handlers with the request's values).

use super::authn::Credentials;
use super::{Access, Caller, table};
use crate::users::errors;
use crate::users::server::Peer;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use jiff::Timestamp;
use segment_runtime::AuditLine;
use segment_runtime::audit::AuditResult;

/// What someone reads who points a browser or curl here.
const HINT: &str =
    "This port speaks gRPC. Try: segctl status, or grpcurl -cacert hub-ca.pem ADDRESS list\n";

/// Lets a call through, or answers it.
pub async fn gate(State(access): State<Access>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !is_grpc(&request) {
        let mut response = Response::new(Body::from(HINT));
        *response.status_mut() = http::StatusCode::NOT_FOUND;
        let plain = http::HeaderValue::from_static("text/plain; charset=utf-8");
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, plain);
        return response;
    }
    if table::is_open(path) {
        return next.run(request).await;
    }
    let Some(row) = table::row(path) else {
        return errors::unknown_method(path).into_http();
    };
    let peer = request.extensions().get::<Peer>().cloned();
    // As in the API server: who shows a certificate is who it says, whatever else is sent.
    let credentials = match peer.as_ref().and_then(|peer| peer.certificate.clone()) {
        Some(certificate) => Credentials::Certificate(certificate.0),
        None => Credentials::of_header(request.headers().get(http::header::AUTHORIZATION)),
    };
    match access.authn().user(&credentials, Timestamp::now()).await {
        Ok(user) => {
            request.extensions_mut().insert(Caller {
                user,
                credentials,
                row,
            });
            next.run(request).await
        }
        Err(status) => {
            if row.changes {
                AuditLine {
                    time: Timestamp::now(),
                    actor: peer.map_or_else(|| "unknown".to_owned(), |peer| peer.addr.to_string()),
                    action: row.method.rsplit('/').next().unwrap_or_default().into(),
                    subject: "hub".to_owned(),
                    uid: None,
                    reason: Some(status.message().to_owned()),
                    result: AuditResult::Refused,
                }
                .emit();
            }
            status.into_http()
        }
    }
}

fn is_grpc(request: &Request) -> bool {
    request
        .headers()
        .get(http::header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/grpc"))
}
