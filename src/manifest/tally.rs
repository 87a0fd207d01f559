//! Checks each part of an index and adds it up, in memory that does not grow with their number
//! beyond one bit each.

use std::collections::HashSet;

use super::check::{MAX_FILE_SIZE, MAX_FILES, MAX_NUMBER, MAX_PARTS};
use super::parts::{Part, PartFile, parse_file_path};
use super::text;
use crate::api::common::Totals;

/// The most entries of a part's attributes.
const MAX_ATTRIBUTES: usize = 16 * 1024;

/// What the parts so far add up to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    totals: Totals,
    /// A bit for each number of a part that has files.
    taken: Vec<u64>,
    /// The highest of them.
    highest: u64,
}

impl Tally {
    pub(super) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Takes a part, or says what is wrong with it.
    pub(super) fn add(&mut self, part: &Part) -> Result<(), String> {
        check_part(part)?;
        if let Some(number) = common_number(&part.files)? {
            self.take(number)?;
        }
        let totals = &mut self.totals;
        add(&mut totals.parts, 1, MAX_PARTS, "parts")?;
        add(&mut totals.records, part.records, MAX_NUMBER, "records")?;
        for file in &part.files {
            add(&mut totals.files, 1, MAX_FILES, "files")?;
            add(
                &mut totals.plain_bytes,
                file.plain_size,
                MAX_NUMBER,
                "plain bytes",
            )?;
            add(
                &mut totals.stored_bytes,
                file.stored_size,
                MAX_NUMBER,
                "stored bytes",
            )?;
        }
        Ok(())
    }

    /// What can only be seen once all parts are there.
    pub(super) fn check_end(&self) -> Result<(), String> {
        if self.highest > self.totals.parts {
            return Err(format!(
                "the part number {} is used, but there are {} parts",
                self.highest, self.totals.parts
            ));
        }
        Ok(())
    }

    fn take(&mut self, number: u64) -> Result<(), String> {
        let bit = 1 << (number % 64);
        let word = usize::try_from(number / 64)
            .ok()
            .filter(|_| number <= MAX_PARTS)
            .ok_or_else(|| format!("the part number {number} is too high"))?;
        if word >= self.taken.len() {
            self.taken.resize(word + 1, 0);
        }
        if self.taken[word] & bit != 0 {
            return Err(format!("the part number {number} is used twice"));
        }
        self.taken[word] |= bit;
        self.highest = self.highest.max(number);
        Ok(())
    }
}

fn add(sum: &mut u64, more: u64, most: u64, what: &str) -> Result<(), String> {
    let added = sum.checked_add(more).filter(|added| *added <= most);
    *sum = added.ok_or_else(|| format!("there are more than {most} {what}"))?;
    Ok(())
}

/// The number that all files of a part have in their paths, which are different.
fn common_number(files: &[PartFile]) -> Result<Option<u64>, String> {
    let mut paths = HashSet::with_capacity(files.len());
    let mut common = None;
    for file in files {
        let number = parse_file_path(&file.path)?;
        if *common.get_or_insert(number) != number {
            return Err("its files lie below two part numbers".to_owned());
        }
        if !paths.insert(file.path.as_str()) {
            return Err(format!(
                "the path {} is there twice",
                text::show(&file.path)
            ));
        }
    }
    Ok(common)
}

fn check_part(part: &Part) -> Result<(), String> {
    if !text::is_word(&part.kind) {
        return Err(format!(
            "the kind {} is not a word of letters and digits",
            text::show(&part.kind)
        ));
    }
    if let Some(problem) = text::map_problem(&part.name, 16, 64 * 1024) {
        return Err(format!("its name: {problem}"));
    }
    if part.attributes.len() > MAX_ATTRIBUTES {
        return Err(format!("it has more than {MAX_ATTRIBUTES} attributes"));
    }
    if part.records > 0 && part.files.is_empty() {
        return Err("it has records but no files".to_owned());
    }
    if let Some(fingerprint) = &part.fingerprint
        && fingerprint.records() != part.records
    {
        return Err(format!(
            "it has {} records, but its fingerprint is of {}",
            part.records,
            fingerprint.records()
        ));
    }
    part.files.iter().try_for_each(check_file)
}

fn check_file(file: &PartFile) -> Result<(), String> {
    let path = || text::show(&file.path);
    if file.stored_size > MAX_FILE_SIZE || file.plain_size > MAX_NUMBER {
        return Err(format!("the file {} is too large", path()));
    }
    if !text::is_sha256(&file.stored_sha256) || !text::is_sha256(&file.plain_sha256) {
        return Err(format!(
            "a digest of the file {} is not 64 lower-case hex digits",
            path()
        ));
    }
    Ok(())
}
