use async_trait::async_trait;
use bytes::Bytes;

use super::*;
use crate::transfer::TransferError;

struct Memory(Vec<u8>);

#[async_trait]
impl RecordSink for Memory {
    async fn write(&mut self, records: Bytes) -> Result<(), TransferError> {
        self.0.extend_from_slice(&records);
        Ok(())
    }
}

/// Gives its bytes in small pieces, and ends as it is told.
struct Pieces(Vec<u8>, bool);

#[async_trait]
impl RecordSource for Pieces {
    async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        if self.0.is_empty() {
            let broken = TransferError::Internal("broken".to_owned());
            return if self.1 { Ok(None) } else { Err(broken) };
        }
        let rest = self.0.split_off(self.0.len().min(1000));
        Ok(Some(std::mem::replace(&mut self.0, rest).into()))
    }
}

fn part(path: &str) -> Part {
    Part {
        kind: FILE.to_owned(),
        name: [(PATH.to_owned(), path.to_owned())].into(),
        ..Part::default()
    }
}

/// All files below a directory and their content; of a directory nothing.
fn all(root: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.push((name.clone(), None));
            let below = all(&path).into_iter();
            found.extend(below.map(|(path, content)| (format!("{name}/{path}"), content)));
        } else {
            found.push((name, Some(std::fs::read(path).unwrap())));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_tree_comes_back_as_it_was() {
    let source = tempfile::tempdir().unwrap();
    let files: [(&str, Vec<u8>); 5] = [
        ("toc.dat", b"head".to_vec()),
        (
            "base/1/big",
            (0..400_000_u32).flat_map(u32::to_le_bytes).collect(),
        ),
        ("base/odd \"name\" 日本\n", vec![0, 255]),
        ("-rf", b"x".to_vec()),
        ("base/empty", vec![]),
    ];
    for (path, content) in &files {
        let path = source.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    std::fs::create_dir_all(source.path().join("nothing/in/it")).unwrap();

    let tree = walk(source.path()).await.unwrap();
    assert_eq!((tree.parts.len(), tree.structure.len()), (4, 2));
    let pod = tempfile::tempdir().unwrap();
    let scratch = Scratch::new(pod.path());
    let target = scratch.fresh("import").await.unwrap();
    lay_out_empty(&target, &tree.structure).await.unwrap();
    for plan in &tree.parts {
        let mut sink = Memory(Vec::new());
        let size = export_file(source.path(), plan, &mut sink).await.unwrap();
        assert_eq!(size, sink.0.len() as u64);
        let part = Part {
            name: plan.name.clone(),
            ..part("")
        };
        let mut pieces = Pieces(sink.0, true);
        // Twice is the same as once.
        scratch
            .lay_out(&target, &part, &mut Pieces(vec![1], true))
            .await
            .unwrap();
        scratch.lay_out(&target, &part, &mut pieces).await.unwrap();
    }
    assert_eq!(all(&target), all(source.path()));

    let again = scratch.fresh("import").await.unwrap();
    assert_eq!(all(&again), []);
}

#[tokio::test]
async fn links_and_what_is_no_file_are_refused_by_name() {
    type Make = fn(&Path) -> std::io::Result<()>;
    let make: [(&str, Make); 3] = [
        ("passwd", |path| {
            std::os::unix::fs::symlink("/etc/passwd", path)
        }),
        ("up", |path| std::os::unix::fs::symlink("..", path)),
        ("socket", |path| {
            std::os::unix::net::UnixListener::bind(path).map(drop)
        }),
    ];
    for (name, make) in make {
        let source = tempfile::tempdir().unwrap();
        make(&source.path().join(name)).unwrap();
        let error = walk(source.path()).await.unwrap_err().to_string();
        assert!(
            error.contains(name) && error.contains("no links"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn nothing_is_written_elsewhere_and_nothing_half() {
    let pod = tempfile::tempdir().unwrap();
    let scratch = Scratch::new(pod.path());
    let target = scratch.fresh("a/import").await.unwrap();
    for path in ["../out", "/tmp/out", "a/../../out", "", "."] {
        let mut records = Pieces(vec![1], true);
        let part = part(path);
        let error = scratch.lay_out(&target, &part, &mut records).await;
        assert!(
            matches!(error, Err(EngineError::BadBackup { .. })),
            "{path}"
        );
        let error = lay_out_empty(&target, &[part]).await;
        assert!(
            matches!(error, Err(EngineError::BadBackup { .. })),
            "{path}"
        );
    }
    let nameless = Part::default();
    assert!(path_of(&nameless).is_err());

    let (file, mut records) = (part("f"), Pieces(vec![1; 5000], false));
    let broken = scratch.lay_out(&target, &file, &mut records).await;
    assert!(matches!(broken, Err(EngineError::Transfer(_))));
    assert_eq!(all(&target), []);
    assert_eq!(all(&pod.path().join(INCOMING)), []);

    // A file where the backup has a directory too: refused by the file system.
    scratch
        .lay_out(&target, &part("f"), &mut Pieces(vec![1], true))
        .await
        .unwrap();
    let error = scratch
        .lay_out(&target, &part("f/g"), &mut Pieces(vec![1], true))
        .await;
    assert!(matches!(error, Err(EngineError::Scratch { .. })));
}
