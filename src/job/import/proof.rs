//! Proves that the target holds what the backup holds.

use std::sync::Arc;

use super::apply::Applied;
use super::backup::{Backup, Content};
use super::{Import, show};
use crate::api::conditions::Reason;
use crate::api::restore::{ConflictPolicy, Deletions, Verify};
use crate::engine::Engine;
use crate::job::JobError;
use crate::job::again::try_again;
use crate::job::parallel::{self, Pool, width};
use crate::job::progress::CountedSource;
use crate::manifest::{Fingerprint, Part};

/// How many differences are named.
const EXAMPLES: usize = 5;

/// What differs, gathered over all parts.
#[derive(Debug, Default)]
struct Differences {
    parts: u64,
    examples: Vec<String>,
}

impl Differences {
    fn add(&mut self, difference: Option<String>) {
        let Some(difference) = difference else { return };
        self.parts += 1;
        if self.examples.len() < EXAMPLES {
            self.examples.push(difference);
        }
    }

    fn check(self, title: &str) -> Result<(), JobError> {
        if self.parts == 0 {
            return Ok(());
        }
        Err(JobError::refused(
            Reason::VerificationFailed,
            format!(
                "the target does not hold what the {title} holds: {} parts differ, the first: {}. If something else writes to the target, stop it and restore again",
                self.parts,
                self.examples.join("; ")
            ),
        ))
    }
}

/// One part that is proven.
#[derive(Clone, Copy)]
struct Place<'a> {
    content: &'a Content,
    part: &'a Part,
    /// Records of it that were past the target's retention.
    expired: u64,
    /// Whether the target may hold records that the backup does not have.
    others_allowed: bool,
}

impl Import {
    /// Proves one backup, just after it was imported.
    pub(super) async fn prove(
        self: &Arc<Self>,
        backup: &Backup,
        applied: &Applied,
    ) -> Result<(), JobError> {
        if self.order.verify == Verify::None {
            return Ok(());
        }
        self.run.phase("verify", backup.totals.parts);
        let mut pool = Pool::new(width(&self.order.limits), &self.run.clock);
        let result = self.prove_parts(backup, applied, &mut pool).await;
        pool.stop().await;
        result?.check(&backup.title)
    }

    async fn prove_parts(
        self: &Arc<Self>,
        backup: &Backup,
        applied: &Applied,
        pool: &mut Pool<Option<String>>,
    ) -> Result<Differences, JobError> {
        let mut differences = Differences::default();
        let throttle = parallel::throttle(&self.order.limits)?;
        let mut parts = backup.content.parts()?;
        let others_allowed = self.others_allowed(backup);
        let mut number = 0;
        while let Some(part) = self.run.clock.within(parts.next()).await? {
            number += 1;
            if part.files.is_empty() || !self.engine.wants(&part) {
                continue;
            }
            let expired = applied.expired_of(number);
            let (job, clock) = (Arc::clone(self), pool.clock().clone());
            let (content, throttle) = (backup.content.clone(), throttle.clone());
            let work = async move {
                let place = Place {
                    content: &content,
                    part: &part,
                    expired,
                    others_allowed,
                };
                let prove = |_| clock.within(job.prove_part(place));
                let mut difference = try_again(&clock, &show(&part), prove).await?;
                if let Some(found) = &difference {
                    // A server may acknowledge a record and lose it: InfluxDB 1.x frees a new
                    // shard's cache while the first write comes in. Writing again changes nothing
                    // where all is well, and what is wrong for another reason stays wrong.
                    tracing::warn!(part = show(&part), found, "written and proven once more");
                    let write = |_| clock.within(job.apply_part(&content, &part, &throttle));
                    try_again(&clock, &show(&part), write).await?;
                    difference = try_again(&clock, &show(&part), prove).await?;
                }
                job.run.progress.part_done(part.records);
                Ok(difference)
            };
            if let Some(difference) = pool.spawn(work).await? {
                differences.add(difference);
            }
        }
        while let Some(difference) = pool.next().await? {
            differences.add(difference);
        }
        Ok(differences)
    }

    /// What differs in one part, in few words.
    async fn prove_part(&self, place: Place<'_>) -> Result<Option<String>, JobError> {
        let Place {
            content,
            part,
            expired,
            others_allowed,
        } = place;
        match self.order.verify {
            Verify::None => Ok(None),
            Verify::Counts => {
                let found = self.engine.count_part(part).await?;
                Ok(count_difference(part, found, expired, others_allowed))
            }
            Verify::Contains => self.contains(content, part).await,
            Verify::Equal => equal(&*self.engine, part).await,
        }
    }

    /// Whether records that the backup does not have may be in the target: where it was not empty
    /// before, and where a window was put over what an older backup brought.
    fn others_allowed(&self, backup: &Backup) -> bool {
        let kept = self.order.conflict_policy == ConflictPolicy::Overwrite
            && self.order.deletions == Deletions::Keep;
        kept || !backup.full
    }

    async fn contains(&self, content: &Content, part: &Part) -> Result<Option<String>, JobError> {
        let throttle = parallel::throttle(&self.order.limits)?;
        let mut records = content.records(part, throttle)?;
        let mut source = CountedSource {
            inner: &mut *records,
            progress: &self.run.progress,
        };
        let report = self.engine.contains_part(part, &mut source).await?;
        let seen = report.found + report.missing + report.different + report.expired;
        if report.missing + report.different == 0 && seen >= part.records {
            return Ok(None);
        }
        Ok(Some(format!(
            "{}: {} records missing, {} different, {} looked up of {} ({})",
            show(part),
            report.missing,
            report.different,
            seen,
            part.records,
            report.examples.join(", ")
        )))
    }
}

/// What differs between a part and all that the target holds under its name.
pub(super) async fn equal(engine: &dyn Engine, part: &Part) -> Result<Option<String>, JobError> {
    let expected = expected_fingerprint(part)?;
    let found = engine.fingerprint_part(part).await?;
    Ok((found != expected).then(|| {
        format!(
            "{}: the target has {} records, the backup {}, and their content differs",
            show(part),
            found.records(),
            expected.records()
        )
    }))
}

/// What `Equal` compares with.
pub(super) fn expected_fingerprint(part: &Part) -> Result<Fingerprint, JobError> {
    part.fingerprint.ok_or_else(|| {
        JobError::refused(
            Reason::NotSupported,
            format!(
                "there is no fingerprint of {}, so verify Equal can't be done: use Contains or Counts",
                show(part)
            ),
        )
    })
}

/// What is wrong with a count. Fewer is always wrong, but for records past the target's retention.
pub(super) fn count_difference(
    part: &Part,
    found: u64,
    expired: u64,
    others_allowed: bool,
) -> Option<String> {
    let expected = part.records.saturating_sub(expired);
    let wrong = found < expected || (found > part.records && !others_allowed);
    wrong.then(|| {
        let of_them = match expired {
            0 => String::new(),
            n => format!(", of which {n} are past the target's retention"),
        };
        format!(
            "{}: the target has {found} records, the backup {}{of_them}",
            show(part),
            part.records
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_count_says() {
        let part = Part {
            kind: "measurement".to_owned(),
            records: 10,
            ..Part::default()
        };
        let cases = [
            (10, 0, false, true),
            (9, 0, false, false),
            (9, 0, true, false),
            (11, 0, false, false),
            (11, 0, true, true),
            (7, 3, false, true),
            (6, 3, false, false),
            (10, 3, false, true),
            (0, 10, false, true),
        ];
        for (found, expired, others, good) in cases {
            let difference = count_difference(&part, found, expired, others);
            assert_eq!(
                difference.is_none(),
                good,
                "{found} {expired} {others}: {difference:?}"
            );
        }
    }
}
