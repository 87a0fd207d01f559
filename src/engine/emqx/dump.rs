//! Reads an archive that `emqx ctl data export`, the dashboard or the REST API made, under the name
//! that EMQX gave it.
//!
//! It is what a backup of Lifeboat holds, but for the lengths of the source's lists, which only the
//! source could have told: what comes into a target can't be counted there.

use super::archive::{Contents, Look, Scan};
use super::counts::Counts;
use super::settings::{self, Findings};
use super::{attributes, hocon};
use crate::engine::{EngineError, VendorDump, part_file};
use crate::manifest::Part;
use crate::transfer::{Dump, DumpFile, RecordSource, bad_dump};

/// An archive that was read once.
pub(super) struct EmqxDump {
    dump: Dump,
    file: DumpFile,
    parts: [Part; 1],
    warnings: Vec<String>,
}

impl VendorDump for EmqxDump {
    fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn counted(&self) -> bool {
        false
    }

    fn records(&self, _: &Part) -> Result<Box<dyn RecordSource>, EngineError> {
        // EMQX imports it as it is.
        Ok(Box::new(self.dump.read_stored(&self.file)))
    }
}

/// Looks into the archive.
pub(super) async fn open(dump: Dump) -> Result<EmqxDump, EngineError> {
    let file = match dump.files() {
        [file] => file.clone(),
        files => {
            let problem = format!(
                "it lies among {} files; name the archive itself in source.vendorDump.path",
                files.len()
            );
            return Err(bad_dump(dump.path(), problem).into());
        }
    };
    let contents = scan(&dump, &file).await?;
    let configuration = contents.configuration.as_deref().and_then(hocon::parse);
    let findings = match &configuration {
        Some(configuration) => settings::look(configuration, &contents.files),
        None => Findings::default(),
    };
    let part = Part {
        kind: attributes::KIND.to_owned(),
        name: [(attributes::ARCHIVE.to_owned(), file.name.clone())].into(),
        attributes: attributes::write(&contents, &Counts::new(), &findings),
        files: vec![part_file(&file, file.size)],
        ..Part::default()
    };
    Ok(EmqxDump {
        warnings: settings::outside_warning(&findings.outside)
            .into_iter()
            .collect(),
        parts: [part],
        dump,
        file,
    })
}

async fn scan(dump: &Dump, file: &DumpFile) -> Result<Contents, EngineError> {
    let bad = |fault: super::archive::Fault| bad_dump(&file.name, fault.to_string());
    let mut scan = Scan::new(&Look {
        name: &file.name,
        ending_before: 0,
        copy_without: None,
    })
    .map_err(bad)?;
    let mut reader = dump.read_stored(file);
    while let Some(piece) = reader.next().await? {
        scan.push(&piece).await.map_err(bad)?;
    }
    let (contents, _) = scan.finish().map_err(bad)?;
    Ok(contents)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::storage::testing::store_of;
    use crate::transfer::Throttle;

    const NAME: &str = "emqx-export-2026-11-20-10-30-42.810.tar.gz";
    const RECORDED: &[u8] = include_bytes!(
        "../../../e2e/standin/emqx/testdata/emqx-export-2026-11-20-10-30-42.810.tar.gz"
    );

    async fn read(name: &str, archive: &'static [u8]) -> Result<EmqxDump, EngineError> {
        let file = (name.to_owned(), Bytes::from_static(archive));
        let location = store_of("dumps", &[file]).await;
        let dump = Dump::find(&location, "dumps", Throttle::unlimited()).await?;
        open(dump).await
    }

    #[tokio::test]
    async fn a_recorded_archive_as_it_is() {
        let dump = read(NAME, RECORDED).await.unwrap();
        let archive = attributes::read(&dump.parts()[0]).unwrap();
        assert_eq!(archive.name, NAME);
        assert!(archive.counts.is_empty() && !archive.rows.is_empty());
        let mut records = dump.records(&dump.parts()[0]).unwrap();
        assert_eq!(records.next().await.unwrap().unwrap(), RECORDED);
    }

    #[tokio::test]
    async fn what_can_not_be_imported_has_a_name() {
        for (name, archive, problem) in [
            ("mine.zip", RECORDED, "none that EMQX gives"),
            ("emqx-export-2.tar.gz", RECORDED, "was renamed"),
            (NAME, &RECORDED[..RECORDED.len() - 9], "cut off"),
            (NAME, b"{\"version\":\"4.4\"}", "EMQX 4.x"),
        ] {
            let error = read(name, archive).await.err().unwrap().to_string();
            assert!(error.contains(name) && error.contains(problem), "{error}");
        }
    }
}
