//! Where the fleet is reached: the server's own address, as a WebSocket's.

use drydock_client::Client;
use drydock_domain::{
    ProjectId,
    daemon::{TOKEN_HEADER, WORKSPACE_HEADER},
};
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use tokio_tungstenite::tungstenite::{
    client::IntoClientRequest as _,
    handshake::client::Request,
    http::{HeaderValue, Uri},
};

const ROUTE: &str = "/api/v1/workspaces/ws";

/// What is needed to connect.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    url: Url,
    project: ProjectId,
    token: SecretString,
}

/// Why it cannot be connected to.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// What is sent could be read on the way.
    #[error("{0} is neither https nor on this machine: use https://, or --insecure to send everything in the clear")]
    Insecure(Url),
    /// It is none for a WebSocket.
    #[error("{0} cannot be the address of a WebSocket")]
    Wrong(Url),
    /// A header cannot hold the token.
    #[error("the daemon's token holds characters that a header cannot")]
    Token,
}

impl Address {
    /// Of a server that is known by its HTTP address.
    ///
    /// # Errors
    /// It must not be connected to without TLS, unless `insecure`.
    pub(crate) fn new(
        client: &Client,
        project: ProjectId,
        token: SecretString,
        insecure: bool,
    ) -> Result<Self, AddressError> {
        let server = client.server();
        let mut url = server.clone();
        let scheme = match server.scheme() {
            "https" => "wss",
            _ if insecure || client.is_near() => "ws",
            _ => return Err(AddressError::Insecure(url)),
        };
        url.set_scheme(scheme).map_err(|()| AddressError::Wrong(server.clone()))?;
        url.set_path(&format!("{}{ROUTE}", server.path().trim_end_matches('/')));
        Ok(Self { url, project, token })
    }

    /// Where to.
    pub(crate) fn server(&self) -> &str {
        self.url.as_str()
    }

    /// The request to begin with.
    ///
    /// # Errors
    /// The address or the token cannot be one.
    pub(crate) fn request(&self) -> Result<Request, AddressError> {
        let uri: Uri = self.url.as_str().parse().map_err(|_| AddressError::Wrong(self.url.clone()))?;
        let mut request = uri.into_client_request().map_err(|_| AddressError::Wrong(self.url.clone()))?;
        let mut token = HeaderValue::from_str(self.token.expose_secret()).map_err(|_| AddressError::Token)?;
        token.set_sensitive(true);
        let project = HeaderValue::from_str(&self.project.to_string()).map_err(|_| AddressError::Token)?;
        let headers = request.headers_mut();
        headers.insert(WORKSPACE_HEADER, project);
        headers.insert(TOKEN_HEADER, token);
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(server: &str, insecure: bool) -> Result<String, AddressError> {
        let client = Client::new(server, None).unwrap();
        Address::new(&client, ProjectId::generate(), "t".into(), insecure).map(|address| address.url.to_string())
    }

    #[test]
    fn without_tls_only_to_this_machine() {
        assert_eq!(address("https://h/base/", false).unwrap(), "wss://h/base/api/v1/workspaces/ws");
        for near in ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:2"] {
            assert!(address(near, false).unwrap().starts_with("ws://"), "{near}");
        }
        for far in ["http://10.0.0.1", "http://localhost.example.org"] {
            let error = address(far, false).unwrap_err();
            assert!(error.to_string().contains("--insecure"), "{error}");
            assert!(address(far, true).is_ok());
        }
    }

    #[test]
    fn the_request_says_who_asks() {
        let client = Client::new("http://localhost:1", None).unwrap();
        let project = ProjectId::generate();
        let request = Address::new(&client, project, "secret".into(), false).unwrap().request().unwrap();
        assert_eq!(request.headers()[WORKSPACE_HEADER], project.to_string().as_str());
        assert_eq!(request.headers()[TOKEN_HEADER], "secret");
        assert!(!format!("{request:?}").contains("secret"));
    }
}
