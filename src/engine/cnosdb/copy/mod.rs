//! Method `copyInto`: the server writes and reads files of the location by itself.
//!
//! The location's keys stand in the statement, as the server takes them no other way. So a statement
//! is shown nowhere, and the server's words are cleaned of the keys before anything is made of them.

mod count;
mod external;
mod parquet;

use std::time::Duration;

use super::client::Client;
use super::read::Place;
use super::row::Layout;
use super::sql::{ident, string};
use crate::api::engines::{CnosDbCopyFrom, CnosDbCopyInto, CopyConnection, CopyFormat};
use crate::engine::{Access, CountRecords, EngineError, ImportReport, PartPlan, PartSummary};
use crate::manifest::Part;
use external::External;

/// The method's name in manifests.
pub(super) const METHOD: &str = "copyInto";
/// Attributes of a part: how its files look.
const FORMAT: &str = "format";
const DELIMITER: &str = "delimiter";
const WITH_HEADER: &str = "withHeader";
/// The code of what went wrong with a store.
const STORE_CODE: &str = "010047";
/// The server is silent until all files are written or read. What bounds a run is its own time.
const SILENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// How a part's files look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format {
    kind: CopyFormat,
    delimiter: char,
    with_header: bool,
}

impl Format {
    /// As a spec asks for.
    pub(super) fn asked(spec: Option<&CnosDbCopyInto>) -> Result<Self, EngineError> {
        let spec = spec.cloned().unwrap_or_default();
        let delimiter = spec.delimiter.as_deref().unwrap_or(",");
        Ok(Self {
            kind: spec.format.unwrap_or_default(),
            delimiter: character(delimiter).ok_or_else(|| EngineError::NotSupported {
                problem: "copyInto.delimiter takes one character, and no quote or backslash"
                    .to_owned(),
            })?,
            with_header: spec.with_header.unwrap_or(true),
        })
    }

    /// What a person should know of files of this format.
    pub(super) fn warning(&self) -> Option<&'static str> {
        match self.kind {
            CopyFormat::Parquet => None,
            CopyFormat::Csv => Some(
                "a CSV file can't tell an empty string from a value that is not there; PARQUET can",
            ),
            CopyFormat::Json => Some(
                "a JSON file has no word for a DOUBLE that is infinite or no number; PARQUET has",
            ),
        }
    }

    /// Notes it in a part's attributes.
    pub(super) fn note(&self, part: &mut PartPlan) {
        let word = match self.kind {
            CopyFormat::Parquet => "PARQUET",
            CopyFormat::Csv => "CSV",
            CopyFormat::Json => "JSON",
        };
        let attributes = &mut part.attributes;
        attributes.insert(FORMAT.to_owned(), word.to_owned());
        if self.kind == CopyFormat::Csv {
            attributes.insert(DELIMITER.to_owned(), self.delimiter.to_string());
            attributes.insert(WITH_HEADER.to_owned(), self.with_header.to_string());
        }
    }

    /// Of a part of a backup, which is hostile until it was checked.
    fn of(part: &Part) -> Result<Self, EngineError> {
        let get = |key: &str| part.attributes.get(key).map(String::as_str);
        let kind = match get(FORMAT) {
            Some("PARQUET") => Some(CopyFormat::Parquet),
            Some("CSV") => Some(CopyFormat::Csv),
            Some("JSON") => Some(CopyFormat::Json),
            _ => None,
        };
        let with_header = match get(WITH_HEADER) {
            None | Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => None,
        };
        let delimiter = character(get(DELIMITER).unwrap_or(","));
        match (kind, delimiter, with_header) {
            (Some(kind), Some(delimiter), Some(with_header)) => Ok(Self {
                kind,
                delimiter,
                with_header,
            }),
            _ => Err(EngineError::BadBackup {
                problem: "its parts index names a format of files that this engine does not write"
                    .to_owned(),
            }),
        }
    }

    /// ` FILE_FORMAT = (…)`.
    fn clause(&self) -> String {
        let options = match self.kind {
            CopyFormat::Parquet => "TYPE = 'PARQUET'".to_owned(),
            CopyFormat::Json => "TYPE = 'JSON'".to_owned(),
            CopyFormat::Csv => format!(
                "TYPE = 'CSV', DELIMITER = {}, WITH_HEADER = {}",
                string(&self.delimiter.to_string()),
                self.with_header
            ),
        };
        format!(" FILE_FORMAT = ({options})")
    }
}

/// A delimiter that the server takes.
fn character(text: &str) -> Option<char> {
    let mut all = text.chars();
    match (all.next(), all.next()) {
        (Some(one @ ('\t' | ' '..='~')), None) if !"\"'\\".contains(one) => Some(one),
        _ => None,
    }
}

/// Whether the server wrote the part's files.
pub(super) fn is_copied(part: &Part) -> bool {
    part.attributes.contains_key(FORMAT)
}

/// A counter for a file.
pub(super) fn counter(
    part: &Part,
    size: u64,
    end: &[u8],
) -> Result<Box<dyn CountRecords>, EngineError> {
    let format = Format::of(part)?;
    Ok(match format.kind {
        CopyFormat::Json => Box::new(count::Lines::default()),
        CopyFormat::Csv => Box::new(count::Csv::new(format.with_header)),
        CopyFormat::Parquet => {
            let footer = parquet::Footer::new(size, end);
            Box::new(footer.map_err(|problem| EngineError::SourceChanged {
                problem: format!("a file that the server wrote can't be counted: {problem}"),
            })?)
        }
    })
}

/// A server that copies.
pub(super) struct Copier {
    client: Client,
    external: External,
    auto_infer_schema: Option<bool>,
}

/// What a node says of the store is told as that: the keys and the address are the location's.
fn of_the_store(error: EngineError) -> EngineError {
    const LASTING: [&str; 5] = [
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
        "AccessDenied",
        "NoSuchBucket",
        "403 Forbidden",
    ];
    match error {
        EngineError::Server {
            server, problem, ..
        } if problem.starts_with(STORE_CODE) => EngineError::Server {
            server,
            retryable: !LASTING.iter().any(|word| problem.contains(word)),
            problem: format!(
                "its nodes can't use the location, which they open with the location's own keys: {problem}"
            ),
        },
        other => other,
    }
}

/// How a server is told to copy.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    /// How its nodes reach the location.
    pub(super) connection: CopyConnection,
    /// Whether it guesses the types of what it reads.
    pub(super) auto_infer_schema: Option<bool>,
}

impl From<&CnosDbCopyInto> for Options {
    fn from(spec: &CnosDbCopyInto) -> Self {
        Self {
            connection: spec.connection.clone().unwrap_or_default(),
            auto_infer_schema: None,
        }
    }
}

impl From<&CnosDbCopyFrom> for Options {
    fn from(spec: &CnosDbCopyFrom) -> Self {
        Self {
            connection: spec.connection.clone().unwrap_or_default(),
            auto_infer_schema: spec.auto_infer_schema,
        }
    }
}

impl Copier {
    /// For the server at `url`. Nothing is sent yet.
    pub(super) fn new(url: &str, access: &Access, options: &Options) -> Result<Self, EngineError> {
        let store = access
            .store
            .as_ref()
            .ok_or_else(|| EngineError::NotSupported {
                problem: "the method copyInto needs a location that the server reaches too"
                    .to_owned(),
            })?;
        Ok(Self {
            client: Client::with_silence(url, access, SILENCE)?,
            external: External::new(store, &options.connection)?,
            auto_infer_schema: options.auto_infer_schema,
        })
    }

    /// Has the server write the rows of a place.
    pub(super) async fn write(
        &self,
        place: &Place,
        part: &Part,
        directory: &str,
    ) -> Result<PartSummary, EngineError> {
        let format = Format::of(part)?;
        let rows = match place.window.filter() {
            all if all.is_empty() => ident(&place.table),
            window => format!("(SELECT * FROM {}{window})", ident(&place.table)),
        };
        let statement = format!(
            "COPY INTO {} FROM {rows}{}{}",
            self.external.url(directory),
            self.external.connection(),
            format.clause()
        );
        Ok(PartSummary {
            records: self.copy(place, &statement).await?,
            ..PartSummary::default()
        })
    }

    /// Has the server read files into a place. The columns are named in the order of the files: a
    /// CSV file goes by the order, and the target's table may have another.
    pub(super) async fn read(
        &self,
        place: &Place,
        layout: &Layout,
        part: &Part,
        directory: &str,
    ) -> Result<ImportReport, EngineError> {
        let format = Format::of(part)?;
        let columns = layout.table.columns.iter();
        let columns: Vec<String> = columns.map(|column| ident(&column.name)).collect();
        let options = self
            .auto_infer_schema
            .map(|infer| format!(" COPY_OPTIONS = (auto_infer_schema = {infer})"));
        let statement = format!(
            "COPY INTO {}({}) FROM {}{}{}{}",
            ident(&place.table),
            columns.join(", "),
            self.external.url(directory),
            self.external.connection(),
            format.clause(),
            options.unwrap_or_default()
        );
        Ok(ImportReport {
            written: self.copy(place, &statement).await?,
            ..ImportReport::default()
        })
    }

    /// Runs a statement that answers how many rows it moved.
    async fn copy(&self, place: &Place, statement: &str) -> Result<u64, EngineError> {
        #[derive(serde::Deserialize)]
        struct Moved {
            rows: u64,
        }
        let hide = |text: &str| self.external.secrets().mask(text);
        let moved: Vec<Moved> = self
            .client
            .list_showing(place.at(), statement, &hide)
            .await
            .map_err(of_the_store)?;
        match moved.as_slice() {
            [one] => Ok(one.rows),
            _ => Err(self.client.odd("a count of the rows that were moved")),
        }
    }
}
