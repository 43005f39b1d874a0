//! `POST /admission` and its limits.
//!
//! In: HTTP. Out: HTTP. Law: what comes costs at most 64 bodies of 1 MiB and two cores, and each request ends within
//! 4 s; the work of one whose time is over keeps its place until it is done. Not: the judgement (`judge`).

use super::judge::{Malformed, judge};
use crate::metrics::WebhookMetrics;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::Timestamp;
use kube::core::DynamicObject;
use kube::core::admission::AdmissionReview;
use segment_core::segment::HouseDefaults;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Most of a request, bytes: a Segment stands in it twice.
const BODY: usize = 1024 * 1024;
/// Less than the 5 s that the API server waits: it is to hear why.
const DEADLINE: Duration = Duration::from_secs(4);
/// Bodies that are held at a time.
const READING: usize = 64;
/// Judgements at a time.
const JUDGING: usize = 2;

/// The one route.
pub(super) fn routes(defaults: HouseDefaults, metrics: WebhookMetrics) -> Router {
    let webhook = Webhook {
        defaults: Arc::new(defaults),
        metrics,
        reading: Arc::new(Semaphore::new(READING)),
        judging: Arc::new(Semaphore::new(JUDGING)),
    };
    Router::new()
        .route("/admission", post(admission))
        .with_state(webhook)
}

#[derive(Clone, Debug)]
struct Webhook {
    defaults: Arc<HouseDefaults>,
    metrics: WebhookMetrics,
    reading: Arc<Semaphore>,
    judging: Arc<Semaphore>,
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
enum Unjudged {
    #[error("the request is longer than {BODY} bytes")]
    TooLarge,
    #[error("the request broke off")]
    Broken,
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("too many requests, or too large a Segment: not judged within {} s", DEADLINE.as_secs())]
    Late,
    #[error("the judgement failed; the hub's log has the reason")]
    Failed,
}

impl Unjudged {
    fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Late => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

async fn admission(State(webhook): State<Webhook>, request: Request) -> Response {
    let answer = tokio::time::timeout(DEADLINE, webhook.answer(request)).await;
    match answer.unwrap_or(Err(Unjudged::Late)) {
        Ok(review) => {
            let is_allowed = review
                .response
                .as_ref()
                .is_some_and(|answer| answer.allowed);
            let counter = if is_allowed {
                &webhook.metrics.allowed
            } else {
                &webhook.metrics.refused
            };
            counter.inc();
            Json(review).into_response()
        }
        Err(unjudged) => {
            webhook.metrics.errors.inc();
            tracing::debug!(error = %unjudged, "a request to the webhook was not judged");
            (unjudged.status(), unjudged.to_string()).into_response()
        }
    }
}

impl Webhook {
    async fn answer(&self, request: Request) -> Result<AdmissionReview<DynamicObject>, Unjudged> {
        let _reading = self.reading.acquire().await.map_err(|_| Unjudged::Failed)?;
        let body = body(request).await?;
        let place = Arc::clone(&self.judging)
            .acquire_owned()
            .await
            .map_err(|_| Unjudged::Failed)?;
        let defaults = Arc::clone(&self.defaults);
        let judged = tokio::task::spawn_blocking(move || {
            let _place = place;
            judge(&body, &defaults, Timestamp::now())
        });
        match judged.await {
            Ok(judged) => Ok(judged?),
            Err(error) => {
                tracing::error!(%error, "the webhook's judgement failed");
                Err(Unjudged::Failed)
            }
        }
    }
}

async fn body(request: Request) -> Result<Bytes, Unjudged> {
    match Limited::new(request.into_body(), BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Unjudged::TooLarge),
        Err(_) => Err(Unjudged::Broken),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use futures::StreamExt;
    use tower::ServiceExt;

    async fn status(router: &Router, method: &str, path: &str, body: Body) -> (u16, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(body)
            .unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&text).into_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn what_cant_be_judged_is_an_error_of_http_that_says_why() {
        let metrics = WebhookMetrics::default();
        let router = routes(HouseDefaults::default(), metrics.clone());
        // A body that never ends its first byte, and one that says no length.
        let silent = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let endless = Body::from_stream(
            futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 8192])))
                .take(1000),
        );
        for (method, path, body, expected, says) in [
            ("GET", "/admission", Body::empty(), 405, ""),
            ("POST", "/", Body::empty(), 404, ""),
            (
                "POST",
                "/admission",
                Body::from("{]"),
                400,
                "AdmissionReview",
            ),
            (
                "POST",
                "/admission",
                Body::from(vec![b' '; BODY + 1]),
                413,
                "1048576 bytes",
            ),
            ("POST", "/admission", endless, 413, "1048576 bytes"),
            ("POST", "/admission", silent, 429, "4 s"),
        ] {
            let (status, text) = status(&router, method, path, body).await;
            assert_eq!(status, expected, "{method} {path}: {text}");
            assert!(text.contains(says), "{text}");
        }
        assert_eq!(metrics.errors.get(), 4);
        assert_eq!(metrics.allowed.get() + metrics.refused.get(), 0);
    }
}
