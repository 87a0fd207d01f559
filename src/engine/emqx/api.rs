//! EMQX's REST API, as far as exports and imports need it.
//! (docs.emqx.com, "REST API"; every call but the login was recorded from a 5.4.1.)

use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use url::Url;

use super::said::said;
use crate::api::engines::EmqxLogin;
use crate::engine::http::{self, Http};
use crate::engine::{Access, EngineError};

/// An export or import answers when it is done: the server may be silent for as long as that takes.
/// The run's own timeout ends it earlier.
const SILENCE: Duration = Duration::from_secs(60 * 60);
/// The most bytes of a small answer.
const ANSWER: usize = 1 << 20;
/// Files of a page of the list, and the most pages that are read.
const PAGE: u32 = 100;
const PAGES: u32 = 100;

/// A node of the cluster, as it says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Node {
    /// Its name.
    #[serde(rename = "node")]
    pub(super) name: String,
    /// `running`, or else.
    #[serde(default, rename = "node_status")]
    pub(super) status: String,
    /// `core` or `replicant`.
    #[serde(default)]
    pub(super) role: String,
    /// `Opensource` or `Enterprise`.
    #[serde(default)]
    pub(super) edition: String,
    /// Its version.
    #[serde(default)]
    pub(super) version: String,
}

/// An archive on a node's disk.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Stored {
    /// The node.
    pub(super) node: String,
    /// The archive's name.
    pub(super) filename: String,
    /// Its size in bytes.
    #[serde(default)]
    pub(super) size: Option<u64>,
}

#[derive(Deserialize)]
struct Listed {
    data: Vec<Stored>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
struct Meta {
    #[serde(default)]
    hasnext: bool,
    count: Option<u64>,
}

#[derive(Deserialize)]
struct Length {
    meta: Meta,
}

/// What became of an upload.
#[derive(Debug)]
pub(super) enum Uploaded {
    /// It is on a node.
    Done,
    /// A file of that name is there already.
    AlreadyThere,
    /// It was refused; the file may be there all the same.
    Refused(EngineError),
}

/// A cluster's API.
pub(super) struct Api {
    http: Http,
    login: EmqxLogin,
    token: Mutex<Option<SecretString>>,
}

impl Api {
    /// For the API at `url`. Nothing is sent yet.
    pub(super) fn new(url: &str, login: EmqxLogin, access: &Access) -> Result<Self, EngineError> {
        let http = Http::with_silence(url, access, SILENCE)?;
        if http.login().is_none() {
            return Err(EngineError::Credentials {
                problem: "EMQX's REST API always asks for a login: set credentials to a Secret with the keys username and password".to_owned(),
            });
        }
        Ok(Self {
            http,
            login,
            token: Mutex::new(None),
        })
    }

    /// Host and port.
    pub(super) fn server(&self) -> &str {
        self.http.server()
    }

    /// All nodes that the cluster knows.
    pub(super) async fn nodes(&self) -> Result<Vec<Node>, EngineError> {
        let url = self.at(&["nodes"]);
        let response = self.send(self.http.request(Method::GET, url)).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Err(EngineError::Version {
                server: self.server().to_owned(),
                version: "that is not known".to_owned(),
                problem: "it has no REST API of EMQX 5. EMQX 4.x exports a JSON file that EMQX 5 can't import: Lifeboat serves 5.4 and later".to_owned(),
            });
        }
        self.json(response).await
    }

    /// Exports. Answers when the archive lies on the node that it names.
    pub(super) async fn export(
        &self,
        table_sets: &[String],
        root_keys: &[String],
    ) -> Result<Stored, EngineError> {
        let mut request = self
            .http
            .request(Method::POST, self.at(&["data", "export"]));
        let mut body = serde_json::Map::new();
        if !table_sets.is_empty() {
            body.insert("table_sets".to_owned(), json!(table_sets));
        }
        if !root_keys.is_empty() {
            body.insert("root_keys".to_owned(), json!(root_keys));
        }
        if !body.is_empty() {
            request = request.json(&body);
        }
        let response = self.send(request).await?;
        self.json(response).await
    }

    /// Reads an archive from the node that has it.
    pub(super) async fn download(
        &self,
        file: &Stored,
    ) -> Result<(Option<u64>, BoxStream<'static, reqwest::Result<Bytes>>), EngineError> {
        let request = self.http.request(Method::GET, self.file(file));
        let response = self.send(request).await?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response).await);
        }
        let length = response.content_length();
        Ok((length, response.bytes_stream().boxed()))
    }

    /// Deletes an archive. One that is gone is no error.
    pub(super) async fn delete(&self, file: &Stored) -> Result<(), EngineError> {
        let request = self.http.request(Method::DELETE, self.file(file));
        let response = self.send(request).await?;
        match response.status() {
            StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(()),
            _ => Err(self.refusal(response).await),
        }
    }

    /// The archives of one name, on any node that runs.
    pub(super) async fn find(&self, filename: &str) -> Result<Vec<Stored>, EngineError> {
        let mut found = Vec::new();
        for page in 1..=PAGES {
            let mut url = self.at(&["data", "files"]);
            url.query_pairs_mut()
                .append_pair("page", &page.to_string())
                .append_pair("limit", &PAGE.to_string());
            let response = self.send(self.http.request(Method::GET, url)).await?;
            let listed: Listed = self.json(response).await?;
            found.extend(
                listed
                    .data
                    .into_iter()
                    .filter(|file| file.filename == filename),
            );
            if !listed.meta.hasnext {
                break;
            }
        }
        Ok(found)
    }

    /// Uploads an archive to the node that answers. `length` is that of the whole body, where it is
    /// known.
    pub(super) async fn upload(
        &self,
        form: Form,
        body: Body,
        length: Option<u64>,
    ) -> Result<Uploaded, EngineError> {
        let mut request = self
            .http
            .request(Method::POST, self.at(&["data", "files"]))
            .header(CONTENT_TYPE, form.content_type())
            .body(body);
        if let Some(length) = length {
            request = request.header(CONTENT_LENGTH, length);
        }
        let response = self.send_once(request).await?;
        if response.status().is_success() {
            return Ok(Uploaded::Done);
        }
        let status = response.status().as_u16();
        let body = http::error_body(response).await;
        if status == 400 && super::said::message(&body).contains("already exists") {
            return Ok(Uploaded::AlreadyThere);
        }
        Ok(Uploaded::Refused(said(self.server(), status, &body)))
    }

    /// Imports an archive that lies on a node. Answers when it is done.
    pub(super) async fn import(&self, file: &Stored) -> Result<(), EngineError> {
        let request = self
            .http
            .request(Method::POST, self.at(&["data", "import"]))
            .json(&json!({"filename": file.filename, "node": file.node}));
        let response = self.send(request).await?;
        match response.status() {
            StatusCode::NO_CONTENT | StatusCode::OK => Ok(()),
            _ => Err(self.refusal(response).await),
        }
    }

    /// How many there are of what a list holds, by its `meta.count`. None where the server has no
    /// such list: an authenticator that is not set up, for example.
    pub(super) async fn count(&self, list: &[&str]) -> Result<Option<u64>, EngineError> {
        let mut url = self.at(list);
        url.query_pairs_mut()
            .append_pair("page", "1")
            .append_pair("limit", "1");
        let response = self.send(self.http.request(Method::GET, url)).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer: Length = self.json(response).await?;
        answer
            .meta
            .count
            .map(Some)
            .ok_or_else(|| self.garbled(&format!("{} has no meta.count", list.join("/"))))
    }

    /// An authenticator's settings; none where there is no such one.
    pub(super) async fn authenticator(&self, id: &str) -> Result<Option<Value>, EngineError> {
        let url = self.at(&["authentication", id]);
        let response = self.send(self.http.request(Method::GET, url)).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.json(response).await.map(Some)
    }

    /// A URL below `/api/v5`; the parts are escaped here.
    fn at(&self, parts: &[&str]) -> Url {
        let mut url = self.http.at("api/v5");
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(parts);
        }
        url
    }

    fn file(&self, file: &Stored) -> Url {
        let mut url = self.at(&["data", "files", &file.filename]);
        url.query_pairs_mut().append_pair("node", &file.node);
        url
    }

    /// Sends a request with the login; once more with a new token where the old one has expired.
    async fn send(&self, request: RequestBuilder) -> Result<Response, EngineError> {
        let again = request.try_clone();
        let response = self.send_once(request).await?;
        match again {
            Some(again)
                if self.login == EmqxLogin::DashboardUser
                    && response.status() == StatusCode::UNAUTHORIZED =>
            {
                *self.token.lock().await = None;
                self.send_once(again).await
            }
            _ => Ok(response),
        }
    }

    async fn send_once(&self, request: RequestBuilder) -> Result<Response, EngineError> {
        match self.login {
            EmqxLogin::ApiKey => self.http.send(request).await,
            EmqxLogin::DashboardUser => {
                let token = self.token().await?;
                self.http.send_with(request, Some(&token)).await
            }
        }
    }

    /// The token of the dashboard user, asked for at the first request.
    async fn token(&self) -> Result<SecretString, EngineError> {
        #[derive(Deserialize)]
        struct Answer {
            token: String,
        }
        let mut held = self.token.lock().await;
        if let Some(token) = &*held {
            return Ok(token.clone());
        }
        let Some((user, password)) = self.http.login() else {
            return Err(self.garbled("there is no login"));
        };
        let body = json!({"username": user, "password": password.expose_secret()});
        let request = self
            .http
            .request(Method::POST, self.at(&["login"]))
            .json(&body);
        let response = self.http.send_with(request, None).await?;
        let answer: Answer = self.json(response).await?;
        let token = SecretString::from(answer.token);
        *held = Some(token.clone());
        Ok(token)
    }

    async fn refusal(&self, response: Response) -> EngineError {
        let status = response.status().as_u16();
        said(self.server(), status, &http::error_body(response).await)
    }

    async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, EngineError> {
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response).await);
        }
        let mut stream = response.bytes_stream();
        let mut body = Vec::new();
        while let Some(piece) = stream
            .try_next()
            .await
            .map_err(|error| http::transport(self.server(), error))?
        {
            body.extend_from_slice(&piece);
            if body.len() > ANSWER {
                return Err(self.garbled("it is longer than any should be"));
            }
        }
        serde_json::from_slice(&body).map_err(|error| self.garbled(&error.to_string()))
    }

    fn garbled(&self, problem: &str) -> EngineError {
        EngineError::Server {
            server: self.server().to_owned(),
            problem: format!("its answer is not as the API says: {}", http::word(problem)),
            retryable: false,
        }
    }
}

/// The multipart form of an upload: what comes before the file's bytes, and after them.
pub(super) struct Form {
    boundary: String,
    /// Before the file.
    pub(super) head: String,
    /// After the file.
    pub(super) tail: String,
}

impl Form {
    /// For a file of this name, which was checked: it needs no escapes.
    pub(super) fn new(filename: &str) -> Self {
        let boundary = format!("lifeboat-{}", uuid::Uuid::new_v4().simple());
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"filename\"; filename=\"{filename}\"\r\nContent-Type: application/gzip\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        Self {
            boundary,
            head,
            tail,
        }
    }

    fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }
}
