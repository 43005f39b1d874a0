//! Untyped calls to an API server.
//!
//! **In:** a path, a query, JSON. **Out:** the answer as JSON, with the server's own clock.
//! **Law:** nothing that the server sent is lost (a typed read drops fields newer than our types), and every call ends.
//! **Not:** watches and lists of many pages; kube's reflectors do those.

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, Method, Request, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::Client;
use kube::client::Body;
use kube::core::Status;
use serde_json::Value;

use crate::error::ApiError;

/// Most of a text that is no Status (a proxy's error page) which is kept as a message, bytes.
const MESSAGE_LIMIT: usize = 512;

/// What the server answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The object, whole.
    pub body: Value,
    /// The server's clock when it answered, in whole seconds: the `Date` header.
    pub date: Option<Timestamp>,
}

/// How a write is to be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteOptions<'a> {
    /// Run everything (defaults, admission) and store nothing.
    pub dry_run: bool,
    /// Refuse unknown and doubled fields instead of dropping them.
    pub strict: bool,
    /// The name under which the server books the fields we wrote.
    pub field_manager: Option<&'a str>,
}

impl WriteOptions<'_> {
    fn query(self) -> String {
        let mut parts: Vec<Cow<'static, str>> = Vec::new();
        if self.dry_run {
            parts.push("dryRun=All".into());
        }
        if self.strict {
            parts.push("fieldValidation=Strict".into());
        }
        if let Some(manager) = self.field_manager {
            parts.push(format!("fieldManager={manager}").into());
        }
        parts.join("&")
    }
}

/// Path of an object or a collection: `("batch/v1", "cronjobs", Some("ns"), Some("name"))`; the core group is `v1`.
/// Namespaces and names are DNS names and need no escaping.
pub fn path(
    group_version: &str,
    plural: &str,
    namespace: Option<&str>,
    name: Option<&str>,
) -> String {
    let root = if group_version.contains('/') {
        "apis"
    } else {
        "api"
    };
    let mut path = format!("/{root}/{group_version}");
    if let Some(namespace) = namespace {
        path.push_str("/namespaces/");
        path.push_str(namespace);
    }
    path.push('/');
    path.push_str(plural);
    if let Some(name) = name {
        path.push('/');
        path.push_str(name);
    }
    path
}

/// Reads one object, or a list that is known to be short. `path` may carry a query of its own.
///
/// # Errors
/// As [`ApiError`] tells.
pub async fn get_json(client: &Client, path: &str, limit: Duration) -> Result<Answer, ApiError> {
    send(client, Method::GET, path, String::new(), None, limit).await
}

/// Replaces an object; `metadata.resourceVersion` and `uid` in the body are its preconditions.
///
/// # Errors
/// As [`ApiError`] tells; a conflict when a precondition fails.
pub async fn put_json(
    client: &Client,
    path: &str,
    options: WriteOptions<'_>,
    body: &Value,
    limit: Duration,
) -> Result<Answer, ApiError> {
    send(
        client,
        Method::PUT,
        path,
        options.query(),
        Some(body),
        limit,
    )
    .await
}

/// Creates an object in the collection at `path`.
///
/// # Errors
/// As [`ApiError`] tells; already exists when the name is taken.
pub async fn post_json(
    client: &Client,
    path: &str,
    options: WriteOptions<'_>,
    body: &Value,
    limit: Duration,
) -> Result<Answer, ApiError> {
    send(
        client,
        Method::POST,
        path,
        options.query(),
        Some(body),
        limit,
    )
    .await
}

/// Deletes an object. `delete_options` is a `DeleteOptions` with its preconditions and propagation policy;
/// `fieldValidation` and a field manager mean nothing here and are left out.
///
/// # Errors
/// As [`ApiError`] tells; a conflict when a precondition fails.
pub async fn delete_json(
    client: &Client,
    path: &str,
    options: WriteOptions<'_>,
    delete_options: &Value,
    limit: Duration,
) -> Result<Answer, ApiError> {
    let query = WriteOptions {
        dry_run: options.dry_run,
        ..WriteOptions::default()
    }
    .query();
    send(
        client,
        Method::DELETE,
        path,
        query,
        Some(delete_options),
        limit,
    )
    .await
}

async fn send(
    client: &Client,
    method: Method,
    path: &str,
    query: String,
    body: Option<&Value>,
    limit: Duration,
) -> Result<Answer, ApiError> {
    let what = format!("{method} {path}");
    let uri = match (query.is_empty(), path.contains('?')) {
        (true, _) => path.to_owned(),
        (false, false) => format!("{path}?{query}"),
        (false, true) => format!("{path}&{query}"),
    };
    let malformed = |source: Box<dyn std::error::Error + Send + Sync>| ApiError::Malformed {
        what: Cow::Owned(format!("{method} {path}")),
        source,
    };
    let bytes = body
        .map(serde_json::to_vec)
        .transpose()
        .map_err(|e| malformed(e.into()))?;
    let mut request = Request::builder()
        .method(method.clone())
        .uri(uri)
        .header(header::ACCEPT, "application/json");
    if bytes.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let request = request
        .body(Body::from(bytes.unwrap_or_default()))
        .map_err(|e| malformed(e.into()))?;
    let exchange = async {
        let answer = client.send(request).await?;
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await?.to_bytes();
        Ok::<_, kube::Error>((head, bytes))
    };
    let (head, bytes) = match tokio::time::timeout(limit, exchange).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(ApiError::from_kube(what, error)),
        Err(_) => {
            return Err(ApiError::Deadline {
                what: what.into(),
                limit,
            });
        }
    };
    if head.status.is_success() {
        let body = serde_json::from_slice(&bytes).map_err(|e| malformed(e.into()))?;
        return Ok(Answer {
            body,
            date: date(&head.headers),
        });
    }
    let mut status: Status = serde_json::from_slice(&bytes).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(&bytes);
        let end = text.floor_char_boundary(MESSAGE_LIMIT);
        Status::failure(text[..end].trim(), "")
    });
    if status.code == 0 {
        status.code = head.status.as_u16();
    }
    Err(ApiError::refused(
        what.into(),
        status,
        retry_after(&head.headers),
    ))
}

/// The `Date` header ([RFC 9110 §6.6.1](https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1)), whole seconds.
fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let text = headers.get(header::DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()
}

/// `Retry-After` in seconds; the other form (a date) is not used by API servers.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Response;
    use serde_json::json;
    use std::convert::Infallible;

    fn client(answer: impl Fn(&Request<Body>) -> Response<Body> + Send + Sync + 'static) -> Client {
        let answer = std::sync::Arc::new(answer);
        let service = tower::service_fn(move |request: Request<Body>| {
            let answer = answer.clone();
            async move { Ok::<_, Infallible>(answer(&request)) }
        });
        Client::new(service, "default")
    }

    fn reply(code: u16, headers: &[(&str, &str)], body: &str) -> Response<Body> {
        let mut response = Response::builder().status(code);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        response.body(Body::from(body.as_bytes().to_vec())).unwrap()
    }

    const LIMIT: Duration = Duration::from_secs(1);

    #[test]
    fn paths_are_kubernetes_own() {
        assert_eq!(
            path("v1", "secrets", Some("a"), Some("b")),
            "/api/v1/namespaces/a/secrets/b"
        );
        assert_eq!(
            path("batch/v1", "cronjobs", Some("a"), None),
            "/apis/batch/v1/namespaces/a/cronjobs"
        );
        assert_eq!(
            path("v1", "namespaces", None, Some("kube-system")),
            "/api/v1/namespaces/kube-system"
        );
    }

    #[tokio::test]
    async fn a_live_read_tells_the_servers_clock() {
        let client = client(|_| {
            reply(
                200,
                &[("date", "Wed, 25 Nov 2026 22:42:21 GMT")],
                r#"{"newer":{"field":1}}"#,
            )
        });
        let answer = get_json(&client, "/x", LIMIT).await.unwrap();
        let date = "2026-11-25T22:42:21Z".parse().unwrap();
        assert_eq!(
            answer,
            Answer {
                body: json!({"newer": {"field": 1}}),
                date: Some(date)
            }
        );
    }

    #[tokio::test]
    async fn options_become_the_query() {
        let client = client(|request| {
            let said =
                json!({"uri": request.uri().to_string(), "method": request.method().as_str()});
            reply(200, &[], &said.to_string())
        });
        let options = WriteOptions {
            dry_run: true,
            strict: true,
            field_manager: Some("segment-agent"),
        };
        let answer = put_json(&client, "/x", options, &json!({}), LIMIT)
            .await
            .unwrap()
            .body;
        let query = "dryRun=All&fieldValidation=Strict&fieldManager=segment-agent";
        assert_eq!(
            answer,
            json!({"method": "PUT", "uri": format!("/x?{query}")})
        );
        let answer = delete_json(&client, "/x?a=b", options, &json!({}), LIMIT)
            .await
            .unwrap()
            .body;
        assert_eq!(
            answer,
            json!({"method": "DELETE", "uri": "/x?a=b&dryRun=All"})
        );
    }

    #[tokio::test]
    async fn a_refusal_keeps_the_servers_words_and_wish() {
        let body = r#"{"kind":"Status","code":429,"reason":"TooManyRequests","message":"slow down",
                       "details":{"retryAfterSeconds":3}}"#;
        let throttled = client(move |_| reply(429, &[("retry-after", "5")], body));
        let error = get_json(&throttled, "/x", LIMIT).await.unwrap_err();
        assert_eq!(error.to_string(), "GET /x: 429 TooManyRequests: slow down");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(5)));

        let in_status = client(move |_| reply(429, &[], body));
        let error = get_json(&in_status, "/x", LIMIT).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(3)));

        let proxy = client(|_| reply(502, &[], &"é".repeat(10_000)));
        let error = get_json(&proxy, "/x", LIMIT).await.unwrap_err();
        assert!(error.is_transient() && error.to_string().len() < 600);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_never_answers_ends_the_call() {
        let service = tower::service_fn(|_: Request<Body>| {
            std::future::pending::<Result<Response<Body>, Infallible>>()
        });
        let client = Client::new(service, "default");
        let error = get_json(&client, "/x", LIMIT).await.unwrap_err();
        assert_eq!(error.to_string(), "GET /x: no answer within 1 s");
    }
}
