//! One call: method, address, query, body; sent, and sent again where that is safe.

use std::time::Duration;

use bytes::Bytes;
use drydock_runtime::Backoff;
use reqwest::{Body, Method, Response, Url, header};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep, timeout};

use super::{Client, ClientError, Refusal};

/// How long an answer may take to begin, and each further part of it.
const LIMIT: Duration = Duration::from_secs(60);
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(2);
/// A server that asks for more is asked again after this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(30);

/// An answer as it came, and what we understand of it.
#[derive(Clone, Debug)]
pub struct Document<T> {
    /// Exactly what the API said.
    pub raw: Bytes,
    /// The fields this program uses.
    pub value: T,
}

/// A call in the making.
#[derive(Debug)]
pub struct Call<'c> {
    client: &'c Client,
    method: Method,
    url: Url,
    headers: header::HeaderMap,
    body: Option<Bytes>,
    repeatable: bool,
    limit: Duration,
    broken: Option<ClientError>,
}

impl<'c> Call<'c> {
    pub(super) fn new(client: &'c Client, method: Method, url: Url) -> Self {
        let repeatable = method != Method::POST;
        Self {
            client,
            method,
            url,
            headers: header::HeaderMap::new(),
            body: None,
            repeatable,
            limit: LIMIT,
            broken: None,
        }
    }

    /// Adds a query parameter; may be repeated.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.url.query_pairs_mut().append_pair(name, &value.to_string());
        self
    }

    /// Adds a query parameter where there is a value.
    #[must_use]
    pub fn query_opt(self, name: &str, value: Option<impl std::fmt::Display>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Sets a header. Our names and values are known to be valid; an impossible value is left out.
    #[must_use]
    pub fn header(mut self, name: header::HeaderName, value: &str) -> Self {
        if let Ok(value) = header::HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Sends JSON.
    #[must_use]
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => self.body = Some(body.into()),
            Err(error) => self.broken = Some(ClientError::Encode(error)),
        }
        self.header(header::CONTENT_TYPE, "application/json")
    }

    /// Gives a POST a key of its own, so that it can be sent again without happening twice.
    #[must_use]
    pub fn idempotent(self) -> Self {
        let key = uuid::Uuid::now_v7().to_string();
        self.idempotent_as(&key)
    }

    /// Like [`Self::idempotent`], with a key that says what is asked for.
    #[must_use]
    pub fn idempotent_as(mut self, key: &str) -> Self {
        self.repeatable = true;
        self.header(header::HeaderName::from_static("idempotency-key"), key)
    }

    /// Lets a POST be sent again that does nothing the second time.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Keeps a call from being sent again that would not find what it found before.
    #[must_use]
    pub fn once_only(mut self) -> Self {
        self.repeatable = false;
        self
    }

    /// Waits this long for the answer to begin, instead of a minute.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sends it and gives the answer's head; the body is still to come.
    ///
    /// # Errors
    /// Not reached, not answered in time, or refused, after retries where those are safe.
    pub async fn send(mut self) -> Result<Response, ClientError> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        self.repeated(async |call| call.once(call.body.clone().map(Body::from)).await).await
    }

    /// Sends it with a body that can only be read once, so never again, and gives the whole answer.
    ///
    /// # Errors
    /// As for [`Self::bytes`].
    pub async fn stream_bytes(self, body: Body) -> Result<Bytes, ClientError> {
        let response = self.once(Some(body)).await?;
        whole(&self.client.server, response, self.limit).await
    }

    /// Sends it and gives the whole answer.
    ///
    /// # Errors
    /// As for [`Self::send`], or the answer broke off.
    pub async fn bytes(mut self) -> Result<Bytes, ClientError> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        self.repeated(async |call| {
            let response = call.once(call.body.clone().map(Body::from)).await?;
            whole(&call.client.server, response, call.limit).await
        })
        .await
    }

    /// Sends it and reads the answer as `T`.
    ///
    /// # Errors
    /// As for [`Self::bytes`], or the answer is not a `T`.
    pub async fn document<T: DeserializeOwned>(self) -> Result<Document<T>, ClientError> {
        let client = self.client;
        client.read(self.bytes().await?)
    }

    async fn repeated<T>(self, send: impl AsyncFn(&Self) -> Result<T, ClientError>) -> Result<T, ClientError> {
        let end = Instant::now() + self.client.patience;
        let mut backoff = Backoff::new(FIRST_DELAY, LONGEST_DELAY);
        loop {
            let error = match send(&self).await {
                Err(error) if self.repeatable && error.is_transient() => error,
                outcome => return outcome,
            };
            let asked = error.retry_after().unwrap_or_default().min(LONGEST_RETRY_AFTER);
            let delay = asked.max(FIRST_DELAY / 4 + backoff.next_delay());
            if Instant::now() + delay > end {
                return Err(error);
            }
            if backoff.tries() == 1 {
                (self.client.notice)(&format!("{error}; trying again"));
            }
            sleep(delay).await;
        }
    }

    async fn once(&self, body: Option<Body>) -> Result<Response, ClientError> {
        let server = || self.client.server.clone();
        let mut request = self.client.http.request(self.method.clone(), self.url.clone()).headers(self.headers.clone());
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = timeout(self.limit, request.send())
            .await
            .map_err(|_| ClientError::Silent { server: server(), after: self.limit })?
            .map_err(|source| self.unanswered(source))?;
        if response.status().is_client_error() || response.status().is_server_error() {
            return Err(self.refused(response).await);
        }
        Ok(response)
    }

    fn unanswered(&self, source: reqwest::Error) -> ClientError {
        let server = self.client.server.clone();
        let source = source.without_url();
        if source.is_connect() {
            return ClientError::Unreachable { server, source };
        }
        ClientError::Broken { server, source }
    }

    async fn refused(&self, response: Response) -> ClientError {
        let status = response.status();
        let after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        match whole(&self.client.server, response, self.limit).await {
            Ok(body) => ClientError::Refused(Refusal { status, body, retry_after: after.map(Duration::from_secs) }),
            Err(error) => error,
        }
    }
}

impl Client {
    /// Reads an answer as `T`.
    ///
    /// # Errors
    /// It is not a `T`.
    pub fn read<T: DeserializeOwned>(&self, raw: Bytes) -> Result<Document<T>, ClientError> {
        let value = serde_json::from_slice(&raw)
            .map_err(|source| ClientError::Answer { server: self.server.clone(), source })?;
        Ok(Document { raw, value })
    }

    /// The next part of an answer; `None` at its end.
    ///
    /// # Errors
    /// The connection broke, or nothing came in time.
    pub async fn chunk(&self, response: &mut Response, limit: Duration) -> Result<Option<Bytes>, ClientError> {
        chunk(&self.server, response, limit).await
    }
}

async fn whole(server: &Url, mut response: Response, limit: Duration) -> Result<Bytes, ClientError> {
    let mut body = Vec::new();
    while let Some(part) = chunk(server, &mut response, limit).await? {
        body.extend_from_slice(&part);
    }
    Ok(body.into())
}

async fn chunk(server: &Url, response: &mut Response, limit: Duration) -> Result<Option<Bytes>, ClientError> {
    match timeout(limit, response.chunk()).await {
        Ok(Ok(part)) => Ok(part),
        Ok(Err(source)) => Err(ClientError::Broken { server: server.clone(), source: source.without_url() }),
        Err(_) => Err(ClientError::Silent { server: server.clone(), after: limit }),
    }
}
