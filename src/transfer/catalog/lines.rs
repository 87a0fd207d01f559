//! What lines a bucket holds.

use crate::manifest::line::{Line, ROOT_DIR};
use crate::storage::Location;
use crate::transfer::TransferError;

/// All lines in a bucket, sorted; those of one cluster where `cluster` is given. Needs nothing but
/// the bucket. Directories that are not named as the format says are left out.
pub async fn lines(store: &Location, cluster: Option<&str>) -> Result<Vec<Line>, TransferError> {
    let mut lines = Vec::new();
    for found in store.list_dirs(ROOT_DIR).await? {
        if cluster.is_some_and(|wanted| wanted != found) {
            continue;
        }
        let cluster_dir = format!("{ROOT_DIR}/{found}");
        for namespace in store.list_dirs(&cluster_dir).await? {
            for kind in ["backups", "schedules"] {
                let dir = format!("{cluster_dir}/{namespace}/{kind}");
                let names = store.list_dirs(&dir).await?;
                lines.extend(
                    names
                        .iter()
                        .filter_map(|name| Line::parse(&format!("{dir}/{name}"))),
                );
            }
        }
    }
    lines.sort();
    Ok(lines)
}
