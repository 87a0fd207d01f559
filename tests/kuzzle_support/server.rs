//! A look at a server without the engine.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::Value;
use serde_json::value::RawValue;

/// A server, spoken to without the engine.
pub struct Server {
    pub url: String,
    http: reqwest::Client,
}

impl Server {
    pub fn new(url: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            url: url.to_owned(),
            http,
        }
    }

    /// Status and text of an answer.
    pub async fn say(&self, method: Method, path: &str, body: impl Into<String>) -> (u16, String) {
        let answer = self
            .http
            .request(method, format!("{}/{path}", self.url))
            .header("content-type", "application/json")
            .body(body.into())
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// An answer that is no error.
    pub async fn ask(&self, method: Method, path: &str, body: impl Into<String>) -> Value {
        let (status, text) = self.say(method, path, body).await;
        assert!(status < 300, "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub async fn make(&self, index: &str, body: Value) {
        self.ask(Method::PUT, &escape(index), body.to_string())
            .await;
    }

    /// Writes documents, each its action line and its content; all of them are acknowledged.
    pub async fn write(&self, index: &str, documents: &str) {
        let path = format!("{}/_bulk?refresh=true", escape(index));
        let answer = self.ask(Method::POST, &path, documents).await;
        assert_eq!(answer["errors"], false, "{answer}");
    }

    pub async fn count(&self, index: &str) -> u64 {
        let index = escape(index);
        self.ask(Method::POST, &format!("{index}/_refresh"), "")
            .await;
        let answer = self.ask(Method::GET, &format!("{index}/_count"), "").await;
        answer["count"].as_u64().unwrap()
    }

    pub async fn indices(&self, prefix: &str) -> Vec<String> {
        let answer = self
            .ask(
                Method::GET,
                "_all/_settings/index.uuid?expand_wildcards=all",
                "",
            )
            .await;
        let names = answer.as_object().unwrap().keys();
        names
            .filter(|name| name.contains(prefix))
            .cloned()
            .collect()
    }

    /// All documents of an index, by id and routing, with their content as the server tells it.
    pub async fn documents(&self, index: &str) -> BTreeMap<(String, Option<String>), String> {
        #[derive(serde::Deserialize)]
        struct Answer {
            hits: Hits,
        }
        #[derive(serde::Deserialize)]
        struct Hits {
            hits: Vec<Hit>,
        }
        #[derive(serde::Deserialize)]
        struct Hit {
            #[serde(rename = "_id")]
            id: String,
            #[serde(rename = "_routing")]
            routing: Option<String>,
            #[serde(rename = "_source")]
            source: Box<RawValue>,
        }
        self.count(index).await;
        let path = format!("{}/_search?size=10000", escape(index));
        let (status, text) = self.say(Method::POST, &path, "{}").await;
        assert_eq!(status, 200, "{text}");
        let answer: Answer = serde_json::from_str(&text).unwrap();
        let hits = answer.hits.hits.into_iter();
        hits.map(|hit| {
            let source = hit.source.get().replace(['\n', '\r'], " ");
            ((hit.id, hit.routing), source)
        })
        .collect()
    }

    /// Mappings, aliases, and the settings that people set.
    pub async fn definition(&self, index: &str) -> Value {
        let mut answer = self.ask(Method::GET, &escape(index), "").await;
        let mut definition = answer[index].take();
        let settings = definition["settings"]["index"].as_object_mut().unwrap();
        for own in ["creation_date", "uuid", "provided_name", "version"] {
            settings.remove(own);
        }
        definition
    }

    pub async fn delete(&self, prefix: &str) {
        for index in self.indices(prefix).await {
            self.ask(Method::DELETE, &escape(&index), "").await;
        }
    }
}

/// Escapes a name for a path.
pub fn escape(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    name.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
