//! What the tests of an S3 server share.

use std::path::Path;

use bytes::Bytes;
use jiff::Timestamp;
use lifeboat::api::common::{Codec, Compression};
use lifeboat::api::storage_location::{AccessMode, S3Location, StorageLocationSpec};
use lifeboat::manifest::PartFile;
use lifeboat::storage::{
    Claimant, Location, S3Keys, StorageCredentials, StorageError, open, validate,
};
use lifeboat::transfer::{
    PartFormat, PartReader, PartWriter, RecordSource, Throttle, TransferError, UploadBudget,
};

/// One of the variables that turn these tests on.
pub(crate) fn var(name: &str) -> Option<String> {
    std::env::var(format!("LIFEBOAT_TEST_S3_{name}")).ok()
}

/// What a test may change of a location.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) endpoint: String,
    pub(crate) bucket: String,
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) mode: AccessMode,
    pub(crate) ca: Option<Vec<u8>>,
    pub(crate) prefix: String,
}

impl Setup {
    /// The writable location below a prefix of its own; none where the tests are not asked for.
    pub(crate) fn get() -> Option<Self> {
        let endpoint = var("ENDPOINT")?;
        Some(Self {
            endpoint,
            bucket: var("BUCKET").expect("LIFEBOAT_TEST_S3_BUCKET"),
            access_key: var("ACCESS_KEY").expect("LIFEBOAT_TEST_S3_ACCESS_KEY"),
            secret_key: var("SECRET_KEY").expect("LIFEBOAT_TEST_S3_SECRET_KEY"),
            mode: AccessMode::ReadWrite,
            ca: None,
            prefix: format!("test-{}", uuid::Uuid::new_v4()),
        })
    }

    pub(crate) fn open(&self) -> Result<Location, StorageError> {
        let spec = StorageLocationSpec {
            s3: Some(S3Location {
                bucket: self.bucket.clone(),
                prefix: self.prefix.clone(),
                endpoint: Some(self.endpoint.clone()),
                force_path_style: true,
                region: None,
            }),
            access_mode: self.mode,
            ..StorageLocationSpec::default()
        };
        let keys = StorageCredentials::S3(S3Keys {
            access_key_id: self.access_key.clone(),
            secret_access_key: self.secret_key.clone().into(),
            session_token: None,
        });
        open(&spec, Some(&keys), self.ca.as_deref(), Path::new("/"))
    }

    pub(crate) async fn fault(&self) -> StorageError {
        let error = match self.open() {
            Ok(location) => {
                let checked = validate(&location, &ME, Timestamp::now()).await;
                checked.unwrap_err()
            }
            Err(error) => error,
        };
        for secret in [&self.secret_key, &self.access_key] {
            assert!(!error.message.contains(secret.as_str()), "{error}");
            assert!(!format!("{error:?}").contains(secret.as_str()), "{error:?}");
        }
        error
    }
}

/// The cluster that the tests are.
pub(crate) const ME: Claimant<'static> = Claimant {
    cluster: "prod",
    cluster_uid: "7d9b0e7a-0000-4000-8000-000000000001",
    take_over_from: None,
};
/// Data directory of the tests' run.
pub(crate) const DIR: &str = "lifeboat/v1/prod/iot/schedules/t/data/20261120t101500z/run-1";

/// Bytes that no codec makes smaller.
pub(crate) fn noise(bytes: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut text = Vec::with_capacity(bytes + 8);
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.extend_from_slice(&state.to_le_bytes());
    }
    text.truncate(bytes);
    text.into()
}

/// A writer of one part, with a small budget of its own.
pub(crate) fn writer(location: &Location, stem: &str) -> PartWriter {
    let format = PartFormat {
        stem: stem.to_owned(),
        extension: "lp".to_owned(),
        file_name: None,
        header: Bytes::new(),
        compression: Compression {
            codec: Codec::Zstd,
            level: None,
        },
        max_file_bytes: PartFormat::MAX_FILE_BYTES,
    };
    PartWriter::create(
        location.clone(),
        DIR,
        format,
        UploadBudget::new(1),
        Throttle::unlimited(),
    )
}

/// All plain bytes of a part.
pub(crate) async fn read_all(
    location: &Location,
    files: &[PartFile],
) -> Result<Vec<u8>, TransferError> {
    let throttle = Throttle::unlimited();
    let mut reader = PartReader::open(location.clone(), DIR, files, Codec::Zstd, throttle);
    let mut all = Vec::new();
    while let Some(bytes) = reader.next().await? {
        all.extend_from_slice(&bytes);
    }
    Ok(all)
}
