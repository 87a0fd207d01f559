//! Logins by a token, for servers that hand one out against name and password.

use reqwest::{RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};

use super::{EngineError, Http, transport};

impl Http {
    /// Name and password, where there is a login.
    pub(in crate::engine) fn login(&self) -> Option<(&str, &SecretString)> {
        let (user, password) = self.login.as_ref()?;
        Some((user, password))
    }

    /// Sends a request with a token, or without any login. Any status is an answer.
    pub(in crate::engine) async fn send_with(
        &self,
        request: RequestBuilder,
        token: Option<&SecretString>,
    ) -> Result<Response, EngineError> {
        let request = match token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        request
            .send()
            .await
            .map_err(|error| transport(&self.server, error))
    }
}
