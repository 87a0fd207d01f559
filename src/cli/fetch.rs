//! `lifeboat fetch`: a backup as files that the vendor's own tool reads.

mod archive;
mod lines;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::args::{FetchArgs, Format};
use super::{CliError, store, text};
use crate::engine::{DirectoryLayout, VendorLayout, vendor_layout};
use crate::job::JobError;
use crate::manifest::line::parse_manifest_key;
use crate::manifest::{Manifest, Part, PartFile, own_name};
use crate::storage::Location;
use crate::transfer::{
    IndexReader, PartReader, RecordSource, Throttle, TransferError, catalog, extension,
};

/// What is in which file; written beside them.
const CONTENTS: &str = "contents.jsonl";

#[derive(Serialize)]
struct Entry<'a> {
    file: &'a str,
    slot: &'a str,
    #[serde(flatten)]
    part: PartName<'a>,
}

#[derive(Serialize)]
struct PartName<'a> {
    kind: &'a str,
    name: &'a std::collections::BTreeMap<String, String>,
    records: u64,
}

/// Fetches the backup, and what it builds on, into an empty directory.
pub(super) async fn fetch(args: &FetchArgs, out: &mut impl Write) -> Result<(), CliError> {
    let location = store::open(&args.store)?;
    let manifests = manifests(&location, args).await?;
    prepare(&args.to)?;
    let mut job = Fetch {
        location,
        to: args.to.clone(),
        format: args.format,
        contents: create(&args.to.join(CONTENTS))?,
        files: 0,
        bytes: 0,
    };
    for (number, manifest) in manifests.iter().enumerate() {
        job.backup(number + 1, manifest).await?;
    }
    job.contents
        .flush()
        .map_err(|error| CliError::file(&args.to.join(CONTENTS), &error))?;
    writeln!(
        out,
        "fetched {} files of {} backups into {}, {} of plain data; {CONTENTS} says what is in which",
        job.files,
        manifests.len(),
        args.to.display(),
        text::bytes(job.bytes)
    )
    .map_err(|error| text::cannot_print(&error))
}

/// The manifests to fetch, in the order in which their files are to be imported.
async fn manifests(location: &Location, args: &FetchArgs) -> Result<Vec<Manifest>, CliError> {
    if args.only {
        let stored = catalog::read_backup(location, &args.path, None).await?;
        return Ok(vec![*stored.manifest]);
    }
    let Some((line, slot)) = parse_manifest_key(&args.path) else {
        return Err(TransferError::NotFound {
            path: args.path.clone(),
        }
        .into());
    };
    let mut manifests = Vec::new();
    for head in catalog::restore_set(location, &line.path(), &slot).await? {
        let stored = catalog::read_backup(location, &head.path, Some(&head.sha256)).await?;
        manifests.push(*stored.manifest);
    }
    Ok(manifests)
}

/// Makes the directory; one that holds something is refused, so that nothing is mixed up.
fn prepare(to: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(to).map_err(|error| CliError::file(to, &error))?;
    let mut entries = std::fs::read_dir(to).map_err(|error| CliError::file(to, &error))?;
    match entries.next() {
        Some(_) => Err(CliError::file(
            to,
            &"it is not empty; name a directory that is",
        )),
        None => Ok(()),
    }
}

/// What was written for one backup.
struct Fetched {
    files: u64,
    /// Plain bytes.
    bytes: u64,
}

struct Fetch {
    location: Location,
    to: PathBuf,
    format: Format,
    contents: BufWriter<File>,
    files: u64,
    bytes: u64,
}

impl Fetch {
    async fn backup(&mut self, number: usize, manifest: &Manifest) -> Result<(), CliError> {
        if self.format == Format::Vendor
            && let Some(layout) = vendor_layout(&manifest.source.engine)
        {
            return self.laid_out(layout, manifest).await;
        }
        let mut index = IndexReader::open(self.location.clone(), manifest)?;
        let mut part_number = 0;
        while let Some(part) = index.next().await? {
            part_number += 1;
            for (file_number, file) in part.files.iter().enumerate() {
                // Names are made here: those in the bucket are anybody's.
                let numbers = format!("{number:04}-{}-{part_number:06}", manifest.identity.slot);
                let name = match vendor_name(file, manifest) {
                    Some(own) if in_one_directory(&manifest.source.engine) => {
                        self.check_new(own)?;
                        own.to_owned()
                    }
                    Some(own) => {
                        self.directory(&numbers)?;
                        format!("{numbers}/{own}")
                    }
                    None => format!(
                        "{numbers}-{:04}{}",
                        file_number + 1,
                        self.suffix(file, manifest)
                    ),
                };
                self.file(&name, file, manifest).await?;
                self.note(&name, &part, manifest)?;
            }
        }
        Ok(())
    }

    async fn laid_out(
        &mut self,
        layout: VendorLayout,
        manifest: &Manifest,
    ) -> Result<(), CliError> {
        match layout {
            VendorLayout::Directory(layout) => self.directory_of(layout, manifest).await,
            VendorLayout::Archive(layout) => {
                let (location, to) = (&self.location, &self.to);
                let packed = archive::archive(&layout, location, manifest, to).await?;
                self.files += packed.files;
                self.bytes += packed.bytes;
                Ok(())
            }
        }
    }

    /// A directory as the vendor's tool wants it: first what is no record, then the records.
    async fn directory_of(
        &mut self,
        layout: DirectoryLayout,
        manifest: &Manifest,
    ) -> Result<(), CliError> {
        let mut structure = Vec::new();
        let mut index = IndexReader::open(self.location.clone(), manifest)?;
        while let Some(part) = index.next().await? {
            if part.files.is_empty() {
                structure.push(part);
            }
        }
        for file in (layout.other_files)(&structure).map_err(JobError::from)? {
            let path = self.to.join(format!("{}.gz", file.name));
            let problem = |error| CliError::file(&path, &error);
            let mut packed = GzEncoder::new(create(&path)?, Compression::default());
            packed.write_all(&file.content).map_err(problem)?;
            packed
                .finish()
                .and_then(|mut plain| plain.flush())
                .map_err(problem)?;
            self.files += 1;
        }
        let mut index = IndexReader::open(self.location.clone(), manifest)?;
        while let Some(part) = index.next().await? {
            for file in &part.files {
                let name = (layout.records_file)(&part).map_err(JobError::from)?;
                let name = format!("{name}.gz");
                self.file(&name, file, manifest).await?;
                self.note(&name, &part, manifest)?;
            }
        }
        Ok(())
    }

    /// A file that is there would be added to.
    fn check_new(&self, name: &str) -> Result<(), CliError> {
        let path = self.to.join(name);
        if path.exists() || name == CONTENTS {
            return Err(CliError::file(
                &path,
                &"the backup has two files of this name",
            ));
        }
        Ok(())
    }

    fn directory(&self, name: &str) -> Result<(), CliError> {
        let path = self.to.join(name);
        std::fs::create_dir_all(&path).map_err(|error| CliError::file(&path, &error))
    }

    /// The vendor's extension, and the codec's where one is used.
    fn suffix(&self, file: &PartFile, manifest: &Manifest) -> String {
        let packed = extension(manifest.codec);
        let plain = file.path.strip_suffix(packed).unwrap_or(&file.path);
        let vendor: String = plain
            .rsplit('/')
            .next()
            .and_then(|name| name.rsplit_once('.'))
            .map(|(_, end)| end.chars().filter(char::is_ascii_alphanumeric).take(16))
            .into_iter()
            .flatten()
            .collect();
        match self.format {
            Format::Vendor => format!(".{vendor}.gz"),
            Format::Plain => format!(".{vendor}"),
        }
    }

    /// Writes one file. It gets its name only once its digests were compared; one of a name that is
    /// there is put behind it: gzip files may be joined.
    async fn file(
        &mut self,
        name: &str,
        file: &PartFile,
        manifest: &Manifest,
    ) -> Result<(), CliError> {
        let path = self.to.join(name);
        let last = path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = path.with_file_name(format!(".{last}.unfinished"));
        let result = self.copy(&unfinished, file, manifest).await;
        if let Err(error) = result {
            // What is there is not the backup: better nothing than that.
            let _ = std::fs::remove_file(&unfinished);
            return Err(error);
        }
        join(&unfinished, &path).map_err(|error| CliError::file(&path, &error))?;
        self.files += 1;
        self.bytes += file.plain_size;
        Ok(())
    }

    async fn copy(
        &self,
        path: &Path,
        file: &PartFile,
        manifest: &Manifest,
    ) -> Result<(), CliError> {
        let data_dir = manifest.identity.data_dir(&manifest.run_id);
        let mut reader = PartReader::open(
            self.location.clone(),
            &data_dir,
            std::slice::from_ref(file),
            manifest.codec,
            Throttle::unlimited(),
        );
        let problem = |error| CliError::file(path, &error);
        let plain = create(path)?;
        if self.format == Format::Plain || vendor_name(file, manifest).is_some() {
            let mut plain = plain;
            while let Some(piece) = reader.next().await? {
                plain.write_all(&piece).map_err(problem)?;
            }
            return plain.flush().map_err(problem);
        }
        let mut packed = GzEncoder::new(plain, Compression::default());
        while let Some(piece) = reader.next().await? {
            packed.write_all(&piece).map_err(problem)?;
        }
        let mut plain = packed.finish().map_err(problem)?;
        plain.flush().map_err(problem)
    }

    fn note(&mut self, file: &str, part: &Part, manifest: &Manifest) -> Result<(), CliError> {
        let entry = Entry {
            file,
            slot: &manifest.identity.slot,
            part: PartName {
                kind: &part.kind,
                name: &part.name,
                records: part.records,
            },
        };
        serde_json::to_writer(&mut self.contents, &entry)
            .map_err(std::io::Error::from)
            .and_then(|()| self.contents.write_all(b"\n"))
            .map_err(|error| CliError::file(&self.to.join(CONTENTS), &error))
    }
}

/// Whether the vendor's tool reads all files of a chain from one directory: `influxd restore -portable`
/// takes the newest file of each shard.
fn in_one_directory(engine: &str) -> bool {
    engine == "influxdb"
}

fn join(unfinished: &Path, path: &Path) -> std::io::Result<()> {
    if !path.exists() {
        return std::fs::rename(unfinished, path);
    }
    let mut whole = File::options().append(true).open(path)?;
    std::io::copy(&mut File::open(unfinished)?, &mut whole)?;
    std::fs::remove_file(unfinished)
}

/// The name that the vendor's tool wants the file under, where there is one. The manifest was
/// checked: it is a plain name.
fn vendor_name<'a>(file: &'a PartFile, manifest: &Manifest) -> Option<&'a str> {
    let name = own_name(&file.path)?;
    Some(name.strip_suffix(extension(manifest.codec)).unwrap_or(name))
}

fn create(path: &Path) -> Result<BufWriter<File>, CliError> {
    File::create_new(path)
        .map(BufWriter::new)
        .map_err(|error| CliError::file(path, &error))
}
