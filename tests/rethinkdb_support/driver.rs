//! A driver of the tests' own, so that what is compared is not asked of Lifeboat's.

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

pub struct Driver {
    stream: BufReader<TcpStream>,
    token: u64,
}

impl Driver {
    /// Logs in as `admin` without a password.
    pub async fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let mut driver = Self {
            stream: BufReader::new(stream),
            token: 0,
        };
        let bare = "n=admin,r=abc";
        let hello = json!({"protocol_version": 0, "authentication_method": "SCRAM-SHA-256",
            "authentication": format!("n,,{bare}")});
        driver.write(&0x34c2_bdc3_u32.to_le_bytes()).await;
        driver.write(format!("{hello}\0").as_bytes()).await;
        driver.heard().await;
        let challenge = driver.heard().await;
        let challenge = challenge["authentication"].as_str().unwrap();
        let part = |name: &str| {
            let parts = challenge.split(',');
            let mut values = parts.filter_map(|part| part.strip_prefix(name));
            values.next().unwrap().to_owned()
        };
        let salt = BASE64_STANDARD.decode(part("s=")).unwrap();
        let rounds = part("i=").parse().unwrap();
        let mut salted = [0u8; 32];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, b"", &mut salted);
        let sign = |key: &[u8], text: &str| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
        };
        let key = sign(&salted, "Client Key");
        let stored = digest::digest(&digest::SHA256, key.as_ref());
        let last = format!("c=biws,r={}", part("r="));
        let signed = sign(stored.as_ref(), &format!("{bare},{challenge},{last}"));
        let pairs = key.as_ref().iter().zip(signed.as_ref());
        let proof: Vec<u8> = pairs.map(|(a, b)| a ^ b).collect();
        let answer = format!("{last},p={}", BASE64_STANDARD.encode(proof));
        driver
            .write(format!("{}\0", json!({ "authentication": answer })).as_bytes())
            .await;
        assert_eq!(driver.heard().await["success"], true);
        driver
    }

    async fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).await.unwrap();
    }

    async fn heard(&mut self) -> Value {
        let mut text = Vec::new();
        self.stream.read_until(0, &mut text).await.unwrap();
        text.pop();
        serde_json::from_slice(&text).unwrap()
    }

    async fn frame(&mut self, query: &str) -> Value {
        let mut frame = self.token.to_le_bytes().to_vec();
        frame.extend(u32::try_from(query.len()).unwrap().to_le_bytes());
        frame.extend(query.as_bytes());
        self.write(&frame).await;
        assert_eq!(self.stream.read_u64_le().await.unwrap(), self.token);
        let size = self.stream.read_u32_le().await.unwrap();
        let mut body = vec![0; size as usize];
        self.stream.read_exact(&mut body).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// The values that a term gives; an error's text where it fails.
    pub async fn ask(&mut self, term: &str) -> Result<Vec<Value>, String> {
        self.token += 1;
        let mut answer = self
            .frame(&format!(
                r#"[1,{term},{{"time_format":"raw","binary_format":"raw"}}]"#
            ))
            .await;
        let mut all = Vec::new();
        loop {
            let values = answer["r"].as_array().unwrap().clone();
            match answer["t"].as_u64().unwrap() {
                1 | 2 => {
                    all.extend(values);
                    return Ok(all);
                }
                3 => all.extend(values),
                _ => return Err(values[0].as_str().unwrap().to_owned()),
            }
            answer = self.frame("[2]").await;
        }
    }

    /// As [`Self::ask`], where it has to go well.
    pub async fn must(&mut self, term: &str) -> Vec<Value> {
        self.ask(term)
            .await
            .unwrap_or_else(|error| panic!("{error}: {}", &term[..term.len().min(300)]))
    }
}

pub fn table(database: &str, name: &str) -> String {
    format!(r#"[15,[[14,["{database}"]],"{name}"]]"#)
}

/// A value as a term: arrays are the arguments of MAKE_ARRAY.
pub fn term(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(term).collect();
            format!("[2,[{}]]", items.join(","))
        }
        Value::Object(map) => {
            let members: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), term(value)))
                .collect();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}
