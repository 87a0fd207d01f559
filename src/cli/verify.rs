//! `lifeboat verify` for people: whether backups are whole, and which file is not.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::args::VerifyArgs;
use super::{CliError, Exit, run, store, text};
use crate::api::restore::Preflight;
use crate::job::{self, JobError, Run};
use crate::manifest::{Commit, Manifest};
use crate::storage::Location;
use crate::transfer::{TransferError, catalog};

/// Parts looked at at once.
const WIDTH: usize = 4;
/// How often the bar is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(200);

/// What became of one manifest.
enum Found {
    Whole(Box<Manifest>),
    Void(String),
    Gone,
    Damaged(JobError),
}

/// Checks the backups that the arguments name, and prints a line for each.
pub(super) async fn verify(args: &VerifyArgs, out: &mut impl Write) -> Result<Exit, CliError> {
    let location = store::open(&args.store)?;
    let paths = if args.all {
        all(&location).await?
    } else {
        args.paths.clone()
    };
    let (mut whole, mut damaged) = (0, 0);
    for path in &paths {
        let line = match check(&location, path).await? {
            Found::Whole(manifest) => {
                whole += 1;
                let totals = &manifest.totals;
                format!(
                    "ok       {path}: {} records, {} files, {}",
                    totals.records,
                    totals.files,
                    text::bytes(totals.stored_bytes)
                )
            }
            Found::Void(why) => format!("void     {path}: {why}"),
            Found::Gone if args.all => continue,
            Found::Gone => {
                return Err(TransferError::NotFound { path: path.clone() }.into());
            }
            Found::Damaged(error) => {
                damaged += 1;
                format!("damaged  {path}: {error}")
            }
        };
        writeln!(out, "{line}").map_err(|error| text::cannot_print(&error))?;
    }
    writeln!(out, "{whole} whole, {damaged} damaged")
        .map_err(|error| text::cannot_print(&error))?;
    Ok(if damaged > 0 {
        Exit::Damaged
    } else {
        Exit::Success
    })
}

async fn all(location: &Location) -> Result<Vec<String>, CliError> {
    let mut paths = Vec::new();
    for line in catalog::lines(location, None).await? {
        let slots = catalog::list_slots(location, &line.path(), None).await?;
        paths.extend(slots.into_iter().map(|entry| entry.key));
    }
    Ok(paths)
}

/// Looks at one backup. An error means that nothing can be said about it.
async fn check(location: &Location, path: &str) -> Result<Found, CliError> {
    let manifest = match catalog::read_commit(location, path, None).await {
        Ok((Commit::Backup(manifest), _)) => manifest,
        Ok((Commit::Void(marker), _)) => return Ok(Found::Void(marker.void)),
        Err(TransferError::NotFound { .. }) => return Ok(Found::Gone),
        Err(error @ TransferError::Manifest { .. }) => return Ok(Found::Damaged(error.into())),
        Err(error) => return Err(error.into()),
    };
    let run = run::for_people()?;
    run.phase("verify", manifest.totals.parts);
    let bar = bar(&manifest);
    let drawing = tokio::spawn(draw(Arc::clone(&run), bar.clone()));
    let checked = job::check_whole(&run, location, &manifest, Preflight::Digests, WIDTH).await;
    drawing.abort();
    bar.finish_and_clear();
    match checked {
        Ok(()) => Ok(Found::Whole(manifest)),
        Err(error) if tells_of_damage(&error) => Ok(Found::Damaged(error)),
        Err(error) => Err(error.into()),
    }
}

fn tells_of_damage(error: &JobError) -> bool {
    matches!(
        error,
        JobError::Transfer(TransferError::Corrupt { .. } | TransferError::Manifest { .. })
    )
}

fn bar(manifest: &Manifest) -> ProgressBar {
    let bar = ProgressBar::new(manifest.totals.plain_bytes);
    let style = ProgressStyle::with_template(
        "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
    );
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_message(manifest.identity.slot.clone());
    bar
}

async fn draw(run: Arc<Run>, bar: ProgressBar) {
    let mut ticks = tokio::time::interval(DRAW_EVERY);
    loop {
        ticks.tick().await;
        bar.set_position(run.progress.snapshot().bytes);
    }
}
