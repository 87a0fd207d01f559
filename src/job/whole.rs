//! Whether all files of a backup are there, and are what its manifest says.

use std::sync::Arc;

use super::parallel::Pool;
use super::{JobError, Run};
use crate::api::restore::Preflight;
use crate::manifest::Manifest;
use crate::storage::Location;
use crate::transfer::{IndexReader, check_file};

/// Looks at every file of a backup, `width` at once. The error names the first one that is gone,
/// cut or changed.
pub async fn check(
    run: &Arc<Run>,
    location: &Location,
    manifest: &Manifest,
    depth: Preflight,
    width: usize,
) -> Result<(), JobError> {
    let mut pool = Pool::new(width, &run.clock);
    let result = check_parts(run, location, manifest, depth, &mut pool).await;
    pool.stop().await;
    result
}

async fn check_parts(
    run: &Arc<Run>,
    location: &Location,
    manifest: &Manifest,
    depth: Preflight,
    pool: &mut Pool<()>,
) -> Result<(), JobError> {
    let data_dir: Arc<str> = manifest.identity.data_dir(&manifest.run_id).into();
    let mut index = IndexReader::open(location.clone(), manifest)?;
    while let Some(part) = run.clock.within(index.next()).await? {
        let (run, clock) = (Arc::clone(run), pool.clock().clone());
        let (location, data_dir, codec) = (location.clone(), Arc::clone(&data_dir), manifest.codec);
        let work = async move {
            for file in &part.files {
                let checked = check_file(&location, &data_dir, file, codec, depth);
                clock.within(checked).await?;
                run.progress.add_bytes(file.plain_size);
            }
            run.progress.part_done(part.records);
            Ok(())
        };
        pool.spawn(work).await?;
    }
    while pool.next().await?.is_some() {}
    Ok(())
}
