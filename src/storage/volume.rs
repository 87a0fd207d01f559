//! The files of a local location, as an object store.
//!
//! `object_store` does the writing: a file is staged beside its key, flushed, and put in place by a
//! hard link (create-only) or a rename, with its directory flushed as well. What it does not do is
//! added here: a volume can be written by others, so no link in it is followed, and no pipe or
//! device is opened. A link could lead out of the volume, to another namespace's store or to a
//! pod's own secrets; a pipe would hang whoever opens it.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use uuid::Uuid;

/// The deepest directory that is listed. Keys have some ten segments.
const DEPTH: usize = 32;
/// Files that are looked at before others get their turn.
const BATCH: usize = 256;

/// A directory that keys lie below. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Volume {
    files: LocalFileSystem,
    /// Without links in it.
    root: Arc<std::path::Path>,
}

/// What must lie at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
}

impl Volume {
    /// Opens a directory that is there. It blocks: a volume of the network may hang.
    pub(super) fn open(root: &std::path::Path) -> Result<Self> {
        let root = fs::canonicalize(root).map_err(broken)?;
        Ok(Self {
            files: LocalFileSystem::new_with_prefix(&root)?
                .with_fsync(true)
                .with_automatic_cleanup(true),
            root: root.into(),
        })
    }

    /// The time by the volume's own clock: that of a file server for a volume of the network, and
    /// of the node for a disk. None where no file can be made.
    pub(super) async fn time(&self) -> Option<Timestamp> {
        let path = self.root.join(format!(".lifeboat-time-{}", Uuid::new_v4()));
        let asked = blocking(move || {
            let made = fs::File::create_new(&path).and_then(|file| file.metadata()?.modified());
            // Where it was not made there is nothing to remove.
            let _ = fs::remove_file(&path);
            made.map_err(broken)
        });
        Timestamp::try_from(asked.await.ok()?).ok()
    }

    /// Removes a file that was staged for a key; one that is gone is no error.
    pub(super) async fn remove_staged(&self, path: &Path) -> Result<()> {
        let volume = self.clone();
        let path = path.clone();
        blocking(move || {
            let Some(file) = volume.find(&path, Kind::File)? else {
                return Ok(());
            };
            match fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(broken(error)),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Refuses a path that leads over a link, or to something other than `kind`.
    async fn check(&self, path: &Path, kind: Kind) -> Result<()> {
        let volume = self.clone();
        let path = path.clone();
        blocking(move || volume.find(&path, kind).map(|_| ())).await
    }

    /// Where a path lies; none where nothing is there yet.
    fn find(&self, path: &Path, kind: Kind) -> Result<Option<PathBuf>> {
        let mut at = self.root.to_path_buf();
        let mut parts = path.parts().peekable();
        while let Some(part) = parts.next() {
            at.push(part.as_ref());
            let wanted = match parts.peek() {
                Some(_) => Kind::Directory,
                None => kind,
            };
            match fs::symlink_metadata(&at) {
                Ok(found) if kind_of(found.file_type()) == Some(wanted) => {}
                // As in a bucket: nothing lies below an object.
                Ok(found) if found.is_file() && wanted == Kind::Directory && kind == wanted => {
                    return Ok(None);
                }
                Ok(_) => return Err(broken(odd())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(broken(error)),
            }
        }
        Ok(Some(at))
    }

    /// Refuses an open file that lies elsewhere: a directory became a link since it was checked.
    fn check_inside(&self, file: &fs::File) -> Result<()> {
        let path = fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(broken)?;
        if path.starts_with(&self.root) {
            return Ok(());
        }
        Err(broken(odd()))
    }
}

fn kind_of(found: fs::FileType) -> Option<Kind> {
    if found.is_dir() {
        Some(Kind::Directory)
    } else if found.is_file() {
        Some(Kind::File)
    } else {
        None
    }
}

fn odd() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "a link, a pipe, a device, or a file in a directory's place",
    )
}

fn broken(source: io::Error) -> Error {
    Error::Generic {
        store: "volume",
        source: Box::new(source),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(error.into()))
}

/// A listing under way.
struct Walk {
    volume: Volume,
    /// Where it begins; none once it began.
    from: Option<Path>,
    open: Vec<(Path, fs::ReadDir)>,
    found: std::vec::IntoIter<ObjectMeta>,
}

impl Walk {
    /// Looks at some more files; none are found at the end only.
    fn go_on(&mut self) -> Result<()> {
        if let Some(from) = self.from.take()
            && let Some(path) = self.volume.find(&from, Kind::Directory)?
        {
            self.enter(from, &path)?;
        }
        let mut found = Vec::new();
        while found.len() < BATCH
            && let Some((dir, entries)) = self.open.last_mut()
        {
            let Some(entry) = entries.next() else {
                self.open.pop();
                continue;
            };
            let entry = entry.map_err(broken)?;
            let name = entry.file_name();
            // A name that no key can have was not written by Lifeboat.
            let Some(path) = name.to_str().and_then(|name| child(dir, name)) else {
                continue;
            };
            match kind_of(entry.file_type().map_err(broken)?) {
                Some(Kind::Directory) if self.open.len() < DEPTH => {
                    self.enter(path, &entry.path())?;
                }
                Some(Kind::File) => found.extend(meta(path, &entry)?),
                _ => {}
            }
        }
        self.found = found.into_iter();
        Ok(())
    }

    fn enter(&mut self, dir: Path, path: &std::path::Path) -> Result<()> {
        match fs::read_dir(path) {
            Ok(entries) => self.open.push((dir, entries)),
            // It went since it was seen.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(broken(error)),
        }
        Ok(())
    }
}

fn child(dir: &Path, name: &str) -> Option<Path> {
    Path::parse(format!("{dir}/{name}")).ok()
}

/// What is known of a file; nothing where it went since it was seen.
fn meta(location: Path, entry: &fs::DirEntry) -> Result<Option<ObjectMeta>> {
    let found = match entry.metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(broken(error)),
    };
    Ok(Some(ObjectMeta {
        location,
        last_modified: found.modified().map_err(broken)?.into(),
        size: found.len(),
        e_tag: None,
        version: None,
    }))
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("volume")
    }
}

#[async_trait]
impl ObjectStore for Volume {
    async fn put_opts(&self, at: &Path, load: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.check(at, Kind::File).await?;
        self.files.put_opts(at, load, opts).await
    }

    async fn put_multipart_opts(
        &self,
        at: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check(at, Kind::File).await?;
        self.files.put_multipart_opts(at, opts).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        self.check(at, Kind::File).await?;
        let got = self.files.get_opts(at, options).await?;
        if let GetResultPayload::File(file, _) = &got.payload {
            self.check_inside(file)?;
        }
        Ok(got)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let volume = self.clone();
        locations
            .and_then(move |at| {
                let volume = volume.clone();
                async move {
                    volume.check(&at, Kind::File).await?;
                    volume.files.delete(&at).await?;
                    Ok(at)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let walk = Walk {
            volume: self.clone(),
            from: Some(prefix.cloned().unwrap_or_default()),
            open: Vec::new(),
            found: Vec::new().into_iter(),
        };
        futures::stream::try_unfold(walk, |mut walk| async move {
            if let Some(found) = walk.found.next() {
                return Ok(Some((found, walk)));
            }
            let mut walk = blocking(move || walk.go_on().map(|()| walk)).await?;
            Ok(walk.found.next().map(|found| (found, walk)))
        })
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let volume = self.clone();
        let prefix = prefix.cloned().unwrap_or_default();
        blocking(move || {
            let mut listed = ListResult {
                common_prefixes: Vec::new(),
                objects: Vec::new(),
                extensions: object_store::Extensions::default(),
            };
            let Some(dir) = volume.find(&prefix, Kind::Directory)? else {
                return Ok(listed);
            };
            for entry in fs::read_dir(dir).map_err(broken)? {
                let entry = entry.map_err(broken)?;
                let name = entry.file_name();
                let Some(path) = name.to_str().and_then(|name| child(&prefix, name)) else {
                    continue;
                };
                match kind_of(entry.file_type().map_err(broken)?) {
                    Some(Kind::Directory) => listed.common_prefixes.push(path),
                    Some(Kind::File) => listed.objects.extend(meta(path, &entry)?),
                    None => {}
                }
            }
            Ok(listed)
        })
        .await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotImplemented {
            operation: "copy".to_owned(),
            implementer: self.to_string(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// A volume, and a directory beside it that nobody may reach through it.
    fn volume() -> (tempfile::TempDir, Volume) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("volume/lifeboat/v1/prod")).unwrap();
        fs::create_dir(dir.path().join("other")).unwrap();
        fs::write(dir.path().join("other/secret.json"), "secret").unwrap();
        let volume = Volume::open(&dir.path().join("volume")).unwrap();
        (dir, volume)
    }

    async fn refuses(volume: &Volume, key: &str) {
        let at = Path::from(key);
        let kinds = [
            volume.get(&at).await.map(|_| ()),
            volume.head(&at).await.map(|_| ()),
            volume.put(&at, "x".into()).await.map(|_| ()),
            volume.put_multipart(&at).await.map(|_| ()),
            volume.delete(&at).await,
        ];
        for found in kinds {
            let fault = super::super::fault::Fault::of(&found.unwrap_err());
            assert_eq!(fault.io, Some(io::ErrorKind::InvalidInput), "{key}");
        }
    }

    #[tokio::test]
    async fn links_and_pipes_are_not_followed() {
        let (dir, volume) = volume();
        let root = dir.path().join("volume/lifeboat/v1/prod");
        symlink(dir.path().join("other"), root.join("dir")).unwrap();
        symlink(dir.path().join("other/secret.json"), root.join("file.json")).unwrap();
        symlink(&root, root.join("loop")).unwrap();
        symlink(dir.path().join("nowhere"), root.join("broken.json")).unwrap();
        let pipe = std::process::Command::new("mkfifo")
            .arg(root.join("pipe.json"))
            .status();
        assert!(pipe.unwrap().success());
        for name in [
            "dir/secret.json",
            "dir/new.json",
            "file.json",
            "loop/x.json",
            "broken.json",
            "pipe.json",
            // A directory where a file should be.
            "",
        ] {
            refuses(&volume, &format!("lifeboat/v1/prod/{name}")).await;
        }
        fs::write(root.join("good.json"), "good").unwrap();
        let all: Vec<ObjectMeta> = volume.list(None).try_collect().await.unwrap();
        let names: Vec<&str> = all.iter().map(|meta| meta.location.as_ref()).collect();
        assert_eq!(names, ["lifeboat/v1/prod/good.json"]);
        let below = Path::from("lifeboat/v1/prod");
        let listed = volume.list_with_delimiter(Some(&below)).await.unwrap();
        assert_eq!(listed.common_prefixes, []);
        assert_eq!(listed.objects.len(), 1);
        let linked = Path::from("lifeboat/v1/prod/dir");
        assert!(volume.list_with_delimiter(Some(&linked)).await.is_err());
        assert!(volume.list(Some(&linked)).next().await.unwrap().is_err());
        assert_eq!(fs::read_dir(dir.path().join("other")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_file_that_lies_elsewhere_is_not_read() {
        let (dir, volume) = volume();
        let own = dir.path().join("volume/lifeboat/own.json");
        fs::write(&own, "own").unwrap();
        for (path, good) in [(own, true), (dir.path().join("other/secret.json"), false)] {
            let file = fs::File::open(path).unwrap();
            assert_eq!(volume.check_inside(&file).is_ok(), good);
        }
    }

    #[tokio::test]
    async fn a_long_listing_is_whole() {
        let (dir, volume) = volume();
        let below = dir.path().join("volume/lifeboat/v1/prod");
        for n in 0..BATCH * 2 + 7 {
            let parent = below.join(format!("{}", n % 9));
            fs::create_dir_all(&parent).unwrap();
            fs::write(parent.join(format!("{n}.json")), "x").unwrap();
        }
        let all: Vec<ObjectMeta> = volume.list(None).try_collect().await.unwrap();
        assert_eq!(all.len(), BATCH * 2 + 7);
        let none = Path::from("lifeboat/v1/none");
        assert_eq!(volume.list(Some(&none)).count().await, 0);
        // Directories go with their last file.
        let few = Path::from("lifeboat/v1/prod/3");
        let some: Vec<ObjectMeta> = volume.list(Some(&few)).try_collect().await.unwrap();
        for meta in some {
            volume.delete(&meta.location).await.unwrap();
        }
        assert!(!below.join("3").exists());
        assert!(below.join("4").exists());
    }

    #[tokio::test]
    async fn the_volume_tells_its_time() {
        let (dir, volume) = volume();
        let before = Timestamp::now();
        let told = volume.time().await.unwrap();
        assert!(told.duration_since(before).abs() < jiff::SignedDuration::from_secs(5));
        let left = fs::read_dir(dir.path().join("volume")).unwrap().count();
        assert_eq!(left, 1, "only lifeboat");
        fs::remove_dir_all(dir.path().join("volume")).unwrap();
        assert_eq!(volume.time().await, None);
    }
}
