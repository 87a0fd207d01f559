//! What is in a directory.

use std::fs::{self, DirEntry};
use std::path::Path;

use super::{DIRECTORY, FILE, PATH, fault, path};
use crate::engine::{EngineError, PartPlan};
use crate::manifest::Part;

/// The most files of one backup: all of them are kept in memory.
const MOST: usize = 100_000;

/// What is in a directory, in the order of the paths.
#[derive(Debug, Default)]
pub struct Tree {
    /// Empty files and empty directories.
    pub structure: Vec<Part>,
    /// Files with bytes in them.
    pub parts: Vec<PartPlan>,
}

/// Looks at all that is in a directory, and refuses what can't be laid out elsewhere.
pub async fn walk(root: &Path) -> Result<Tree, EngineError> {
    let root = root.to_owned();
    let walked = tokio::task::spawn_blocking(move || {
        let mut tree = Tree::default();
        below(&root, "", &mut tree).map(|()| tree)
    });
    let mut tree = walked.await.map_err(|error| EngineError::Scratch {
        problem: format!("it could not be read: {error}"),
    })??;
    tree.structure.sort_by(|a, b| a.name.cmp(&b.name));
    tree.parts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(tree)
}

fn below(directory: &Path, prefix: &str, tree: &mut Tree) -> Result<(), EngineError> {
    let problem = |error| fault(directory, &error);
    let entries: Vec<DirEntry> = fs::read_dir(directory)
        .and_then(Iterator::collect)
        .map_err(problem)?;
    if entries.is_empty() && !prefix.is_empty() {
        tree.structure.push(empty(DIRECTORY, prefix));
    }
    for entry in entries {
        let name = entry.file_name();
        let refused = |problem: &str| EngineError::Scratch {
            problem: format!("{} {problem}", entry.path().display()),
        };
        let name = name
            .to_str()
            .ok_or_else(|| refused("has a name that is not UTF-8; give it another"))?;
        let path = match prefix {
            "" => name.to_owned(),
            _ => format!("{prefix}/{name}"),
        };
        path::check(&path).map_err(|problem| EngineError::Scratch { problem })?;
        // Of the entry itself: a link is not followed.
        let about = entry.metadata().map_err(problem)?;
        if about.is_dir() {
            below(&entry.path(), &path, tree)?;
        } else if !about.is_file() {
            return Err(refused(
                "is neither a file nor a directory; a backup holds no links, devices or sockets",
            ));
        } else if about.len() == 0 {
            tree.structure.push(empty(FILE, &path));
        } else {
            tree.parts.push(PartPlan {
                kind: FILE.to_owned(),
                name: [(PATH.to_owned(), path)].into(),
                extension: FILE.to_owned(),
                ..PartPlan::default()
            });
        }
        if tree.parts.len() + tree.structure.len() > MOST {
            return Err(refused(&format!(
                "is one of more than {MOST} files; pack them, with tar for example"
            )));
        }
    }
    Ok(())
}

fn empty(kind: &str, path: &str) -> Part {
    Part {
        kind: kind.to_owned(),
        name: [(PATH.to_owned(), path.to_owned())].into(),
        ..Part::default()
    }
}
