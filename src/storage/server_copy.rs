//! Copies that an S3 server makes by itself: no byte of a file goes through the job.
//!
//! `object_store` copies within one bucket only, so the request is made here, signed by its own
//! signer and sent by the same client as all others. The server is asked for the SHA-256 of what it
//! wrote (`x-amz-checksum-algorithm`), so the copy can be compared without reading it. `UploadPartCopy`
//! is not used: the checksum of an object made of pieces is not that of its bytes.
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html>.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use object_store::aws::{AwsAuthorizer, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use object_store::path::Path;
use reqwest::Method;
use reqwest::header::{HeaderName, HeaderValue};

use super::fault::Fault;
use super::http::read_bounded;
use super::{Location, StorageError};

/// The most bytes of an object that S3 copies in one request.
const LARGEST: u64 = 5 << 30;
/// The most bytes of an answer.
const ANSWER_LIMIT: usize = 16 * 1024;

/// What came of a copy by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerCopy {
    /// It is there, and the server's own SHA-256 of it is the right one.
    Compared,
    /// It is there, and the server did not tell its SHA-256.
    NotCompared,
    /// It is there, and is not what it should be.
    Differs,
    /// These two locations are not on one server with one login, or the object is too large.
    NotOffered,
}

/// A bucket as the target or the source of copies by its server.
#[derive(Debug)]
pub(super) struct S3Bucket {
    pub(super) client: HttpClient,
    pub(super) credentials: AwsCredentialProvider,
    /// Whose login it is: only buckets of one login are copied between.
    pub(super) login: String,
    /// The server: one endpoint, or AWS.
    pub(super) server: String,
    pub(super) region: String,
    pub(super) bucket: String,
    /// URL of the bucket, without a slash at its end.
    pub(super) url: String,
}

impl Location {
    /// Has the server copy an object of `size` bytes from the same key of `from`.
    pub(crate) async fn copy_on_server(
        &self,
        from: &Self,
        key: &str,
        size: u64,
        sha256: &str,
    ) -> Result<ServerCopy, StorageError> {
        let (Some(source), Some(target)) = (&from.s3, &self.s3) else {
            return Ok(ServerCopy::NotOffered);
        };
        if source.server != target.server || source.login != target.login || size > LARGEST {
            return Ok(ServerCopy::NotOffered);
        }
        self.writable(key)?;
        let (source_path, path) = (from.path(key)?, self.path(key)?);
        let source = format!("/{}/{}", source.bucket, encoded(&source_path));
        let what = format!("copying {key}");
        let answer = self
            .retry(|| async {
                let done = target.copy(&source, &path).await;
                done.map_err(|error| self.explain(&error, &what))
            })
            .await?;
        Ok(compare(&answer, sha256))
    }
}

impl S3Bucket {
    async fn copy(&self, source: &str, to: &Path) -> object_store::Result<String> {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = Method::PUT;
        let url = format!("{}/{}", self.url, encoded(to));
        *request.uri_mut() = url.parse().map_err(broken)?;
        let headers = request.headers_mut();
        headers.insert(
            HeaderName::from_static("x-amz-copy-source"),
            HeaderValue::from_str(source).map_err(broken)?,
        );
        headers.insert(
            HeaderName::from_static("x-amz-checksum-algorithm"),
            HeaderValue::from_static("SHA256"),
        );
        let credential = self.credentials.get_credential().await?;
        AwsAuthorizer::new(&credential, "s3", &self.region).try_authorize(&mut request, None)?;
        let response = self.client.execute(request).await.map_err(broken)?;
        let status = response.status();
        let body = read_bounded(response.into_body(), ANSWER_LIMIT)
            .await
            .map_err(broken)?;
        let body = String::from_utf8_lossy(&body).into_owned();
        // A copy that fails once it has begun is answered with 200 and an error as its body.
        if status.is_success() && body.contains("<CopyObjectResult") {
            return Ok(body);
        }
        let status = if status.is_success() {
            500
        } else {
            status.as_u16()
        };
        Err(broken(format!("{}{status}: {body}", Fault::STATUS_WORDS)))
    }
}

fn broken(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> object_store::Error {
    object_store::Error::Generic {
        store: "S3",
        source: source.into(),
    }
}

fn compare(answer: &str, sha256: &str) -> ServerCopy {
    let told = answer
        .split_once("<ChecksumSHA256>")
        .and_then(|(_, rest)| rest.split_once("</ChecksumSHA256>"))
        .map(|(sum, _)| BASE64_STANDARD.decode(sum.trim()).map(hex::encode));
    match told {
        Some(Ok(told)) if told == sha256 => ServerCopy::Compared,
        // `<sum>-<pieces>` is that of an object made of pieces.
        None | Some(Err(_)) => ServerCopy::NotCompared,
        Some(Ok(_)) => ServerCopy::Differs,
    }
}

/// A path as it stands in a signed URL: all but unreserved letters and slashes are encoded.
fn encoded(path: &Path) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for byte in path.as_ref().bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_servers_sum_is_compared() {
        let sha256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        let answer =
            |sum: &str| format!("<CopyObjectResult><ETag>x</ETag>{sum}</CopyObjectResult>");
        for (sum, seen) in [
            ("", ServerCopy::NotCompared),
            (
                "<ChecksumSHA256>LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=</ChecksumSHA256>",
                ServerCopy::Compared,
            ),
            (
                "<ChecksumSHA256>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=</ChecksumSHA256>",
                ServerCopy::Differs,
            ),
            (
                "<ChecksumSHA256>47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=-3</ChecksumSHA256>",
                ServerCopy::NotCompared,
            ),
        ] {
            assert_eq!(compare(&answer(sum), sha256), seen, "{sum}");
        }
    }

    #[test]
    fn keys_in_urls() {
        let path = Path::parse("prod/lifeboat/v1/a=b+c@d,e~f").unwrap();
        assert_eq!(encoded(&path), "prod/lifeboat/v1/a%3Db%2Bc%40d%2Ce~f");
    }
}
