//! Exports: the server writes an archive, which is looked into while it is read.

use futures::StreamExt;

use super::api::Stored;
use super::archive::{Contents, Look, Scan};
use super::settings::{self, Findings};
use super::{Emqx, attributes, counts, hocon, word};
use crate::engine::http::transport;
use crate::engine::{EngineError, ExportPlan, PartPlan, PartSummary};
use crate::manifest::Chain;
use crate::transfer::RecordSink;

/// The only method.
pub(super) const METHOD: &str = "rest";
const NODE: &str = "node";

impl Emqx {
    /// Has the server make an archive, and counts before and after.
    pub(super) async fn make_archive(&self) -> Result<ExportPlan, EngineError> {
        let cluster = self.cluster().await?;
        let source = &self.source;
        let choice = !source.table_sets.is_empty() || !source.root_keys.is_empty();
        if choice && cluster.number() < super::meta::FIRST_CHOICE {
            return Err(EngineError::NotSupported {
                problem: format!(
                    "tableSets and rootKeys take EMQX {} or later, the source is {}: remove them, or upgrade",
                    super::meta::FIRST_CHOICE,
                    cluster.version
                ),
            });
        }
        let before = counts::ask(&self.api).await?;
        let file = self
            .api
            .export(&source.table_sets, &source.root_keys)
            .await?;
        self.check_made(&file)?;
        if source.delete_remote.unwrap_or(true) {
            self.leaves(&file.filename, Some(&file.node));
        }
        let after = counts::ask(&self.api).await?;
        self.note_counts(counts::least(&before, &after));
        let mut scope = std::collections::BTreeMap::new();
        for (key, words) in [
            ("tableSets", &source.table_sets),
            ("rootKeys", &source.root_keys),
        ] {
            if !words.is_empty() {
                scope.insert(key.to_owned(), words.join(","));
            }
        }
        Ok(ExportPlan {
            server: self.info(&cluster),
            method: METHOD.to_owned(),
            scope,
            chain: Chain::Full,
            structure: Vec::new(),
            parts: vec![PartPlan {
                kind: attributes::KIND.to_owned(),
                name: [(attributes::ARCHIVE.to_owned(), file.filename.clone())].into(),
                attributes: [(NODE.to_owned(), file.node)].into(),
                file_name: Some(file.filename),
                ..PartPlan::default()
            }],
            warnings: Vec::new(),
        })
    }

    /// Names go into paths and into the bucket: only those that EMQX gives are used.
    fn check_made(&self, file: &Stored) -> Result<(), EngineError> {
        let odd = |problem: String| EngineError::Server {
            server: self.api.server().to_owned(),
            problem,
            retryable: false,
        };
        super::archive::base_name(&file.filename)
            .map_err(|fault| odd(format!("the archive can't be used: {fault}")))?;
        if file.node.is_empty() || file.node.len() > 255 || file.node.chars().any(char::is_control)
        {
            return Err(odd("it names no node that has the archive".to_owned()));
        }
        Ok(())
    }

    /// Reads the archive from the node that made it, looks into it, and says what is in it.
    pub(super) async fn read_archive(
        &self,
        part: &PartPlan,
        sink: &mut dyn RecordSink,
    ) -> Result<PartSummary, EngineError> {
        let file = Stored {
            node: part.attributes.get(NODE).cloned().unwrap_or_default(),
            filename: part.file_name.clone().unwrap_or_default(),
            size: None,
        };
        let refused = |fault| EngineError::SourceChanged {
            problem: format!("the archive {} can't be used: {fault}", file.filename),
        };
        let mut scan = Scan::new(&Look {
            name: &file.filename,
            ending_before: 0,
            copy_without: None,
        })
        .map_err(refused)?;
        let (length, mut body) = self.api.download(&file).await?;
        let mut read = 0;
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|error| transport(self.api.server(), error))?;
            scan.push(&piece).await.map_err(refused)?;
            read += piece.len() as u64;
            sink.write(piece).await?;
        }
        if length.is_some_and(|length| length != read) {
            return Err(EngineError::Unreachable {
                server: self.api.server().to_owned(),
                problem: "the archive ended before its end".to_owned(),
            });
        }
        let (contents, _) = scan.finish().map_err(refused)?;
        self.summary(&contents)
    }

    fn summary(&self, contents: &Contents) -> Result<PartSummary, EngineError> {
        let configuration = contents.configuration.as_deref().map(hocon::parse);
        let mut warnings = Vec::new();
        let findings = match configuration {
            Some(Some(configuration)) => settings::look(&configuration, &contents.files),
            None if !contents.configuration_too_long => Findings::default(),
            _ => {
                warnings.push("the archive's cluster.hocon could not be looked into: nothing is known of files outside EMQX's data directory, of connectors and of salts".to_owned());
                Findings::default()
            }
        };
        warnings.extend(settings::outside_warning(&findings.outside));
        for (table, rows) in &contents.tables {
            if rows.is_none() {
                warnings.push(format!(
                    "the table {} of the archive is in a form that is not known here: its records are not counted",
                    word(table)
                ));
            }
        }
        let counts = counts::covered(&self.noted_counts(), contents, findings.rules)
            .map_err(|problem| EngineError::SourceChanged { problem })?;
        Ok(PartSummary {
            records: counts.values().sum(),
            fingerprint: None,
            attributes: attributes::write(contents, &counts, &findings),
            warnings,
        })
    }
}
