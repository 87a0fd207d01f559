//! The plan: roots by rule, then what the roots need.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::chain::Chains;
use super::rules::{Chain, Item, Rules};

/// How long a void marker, or an increment whose chain has a hole, stays after newer backups: a run
/// that was given up can't come back later than that, and a person has time to look.
const GRACE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The day, week, month or year that a date is in, as numbers that tell it from others.
type Period = fn(Date) -> (i16, i16);

/// Why a manifest stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// No rule is set, or there is no restorable backup that the others could be older than.
    NoRules,
    /// `keepLast`.
    Last,
    /// `keepWithin`.
    Within,
    /// `keepDaily`.
    Daily,
    /// `keepWeekly`.
    Weekly,
    /// `keepMonthly`.
    Monthly,
    /// `keepYearly`.
    Yearly,
    /// A person holds it.
    Hold,
    /// It is the newest restorable backup, or the newest full one.
    Newest,
    /// The backup with this id can't be restored without it.
    NeededBy(String),
    /// A void marker, or an increment whose chain has a hole, that is not old enough.
    Grace,
    /// Nothing else keeps it, but object lock does.
    Locked,
}

/// A manifest that stays, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The manifest's id.
    pub id: String,
    /// At least one reason.
    pub reasons: Vec<Reason>,
}

/// What to do with a schedule's manifests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What stays, newest first.
    pub keep: Vec<Kept>,
    /// What goes, newest first: an increment is deleted before what it builds on, so a pruning
    /// that is cut short leaves no increment without its chain.
    pub delete: Vec<String>,
    /// What would go but is held by object lock, newest first. It is in `keep` as well. This is
    /// not an error; a later pruning deletes it.
    pub locked: Vec<String>,
    /// Increments whose full backup, or one between, is not there: they can't be restored.
    pub broken: Vec<String>,
}

/// Decides which manifests of one schedule stay.
///
/// `items` must be all manifests of the schedule. When one can't be read, don't prune: what it
/// needs would look unneeded. `now` only guards against backups dated in the future: ages count
/// from the newest restorable backup that is not after it.
pub fn plan(rules: &Rules, items: &[Item], zone: &TimeZone, now: Timestamp) -> Plan {
    let mut planner = Planner::new(items);
    let reference = planner.mark_newest(now);
    match reference {
        Some(reference) if !rules.is_empty() => planner.mark_by_rules(rules, zone, reference),
        Some(reference) => planner.mark_all_but_expired(reference),
        None => planner.mark_all(),
    }
    planner.mark_held();
    planner.mark_needed();
    planner.mark_locked();
    planner.finish()
}

struct Planner<'a> {
    /// Newest first.
    items: Vec<&'a Item>,
    chains: Chains,
    reasons: Vec<Vec<Reason>>,
    locked: Vec<String>,
}

impl<'a> Planner<'a> {
    fn new(items: &'a [Item]) -> Self {
        let mut items: Vec<&Item> = items.iter().collect();
        items.sort_by(|a, b| (b.time, &b.id).cmp(&(a.time, &a.id)));
        let chains = Chains::of(&items);
        let reasons = vec![Vec::new(); items.len()];
        Self {
            items,
            chains,
            reasons,
            locked: Vec::new(),
        }
    }

    fn is_restorable(&self, at: usize) -> bool {
        self.chains.full[at].is_some()
    }

    fn is_broken(&self, at: usize) -> bool {
        self.items[at].complete && !self.is_restorable(at)
    }

    /// Marks the newest restorable backups, and gives the time from which ages count. A backup
    /// dated in the future (a clock was wrong) stays, but the newest of the others does too.
    fn mark_newest(&mut self, now: Timestamp) -> Option<Timestamp> {
        let restorable: Vec<usize> = (0..self.items.len())
            .filter(|at| self.is_restorable(*at))
            .collect();
        let first = |wanted: &dyn Fn(&Item) -> bool| {
            restorable
                .iter()
                .copied()
                .find(|at| wanted(self.items[*at]))
        };
        let reference = first(&|item| item.time <= now);
        let newest = [
            restorable.first().copied(),
            first(&|item| item.chain == Chain::Full),
            reference,
        ];
        for at in newest.into_iter().flatten() {
            self.mark(at, Reason::Newest);
        }
        reference.map(|at| self.items[at].time)
    }

    fn mark_all(&mut self) {
        for at in 0..self.items.len() {
            self.mark(at, Reason::NoRules);
        }
    }

    fn mark_all_but_expired(&mut self, reference: Timestamp) {
        for at in 0..self.items.len() {
            if !is_expired(self.items[at], reference) {
                self.mark(at, Reason::NoRules);
            }
        }
    }

    fn mark_by_rules(&mut self, rules: &Rules, zone: &TimeZone, reference: Timestamp) {
        let candidates: Vec<usize> = (0..self.items.len())
            .filter(|at| self.is_restorable(*at) && !is_expired(self.items[*at], reference))
            .collect();

        for at in candidates.iter().take(limit(rules.keep_last)) {
            self.mark(*at, Reason::Last);
        }
        for at in &candidates {
            if is_within(self.items[*at].time, reference, rules.keep_within) {
                self.mark(*at, Reason::Within);
            }
        }
        let date = |at: usize| self.items[at].time.to_zoned(zone.clone()).date();
        let dates: Vec<Date> = candidates.iter().map(|at| date(*at)).collect();
        let periods: [(Option<u32>, Reason, Period); 4] = [
            (rules.keep_daily, Reason::Daily, |d| {
                (d.year(), d.day_of_year())
            }),
            (rules.keep_weekly, Reason::Weekly, iso_week),
            (rules.keep_monthly, Reason::Monthly, |d| {
                (d.year(), i16::from(d.month()))
            }),
            (rules.keep_yearly, Reason::Yearly, |d| (d.year(), 0)),
        ];
        for (count, reason, period) in periods {
            let mut seen = HashSet::new();
            for (at, date) in candidates.iter().zip(&dates) {
                if seen.len() == limit(count) {
                    break;
                }
                if seen.insert(period(*date)) {
                    self.mark(*at, reason.clone());
                }
            }
        }
        for at in 0..self.items.len() {
            let recent = reference.duration_since(self.items[at].time) <= GRACE;
            if recent && !self.is_restorable(at) {
                self.mark(at, Reason::Grace);
            }
        }
    }

    fn mark_held(&mut self) {
        for at in 0..self.items.len() {
            if self.items[at].hold {
                self.mark(at, Reason::Hold);
            }
        }
    }

    /// Marks the chains of all that stays so far, and of what object lock keeps: the full, and
    /// every complete backup between it and the last one that stays, and what each of those names
    /// as the one before it. What is between counts by its time and not by its full: increments
    /// that were taken while a new full was being made close the gap between it and the first
    /// that builds on it.
    fn mark_needed(&mut self) {
        let mut last_of_full: HashMap<usize, usize> = HashMap::new();
        for at in 0..self.items.len() {
            let stays = !self.reasons[at].is_empty() || self.items[at].locked;
            if let Some(full) = self.chains.full[at].filter(|full| stays && *full != at) {
                // Newest first: the first that is met needs the most.
                last_of_full.entry(full).or_insert(at);
            }
        }
        let full_of_last: BTreeMap<usize, usize> = last_of_full
            .into_iter()
            .map(|(full, last)| (last, full))
            .collect();
        // One pass over all chains: the one that reaches furthest back covers the others.
        let mut chain: Option<(usize, usize)> = None;
        for at in 0..self.items.len() {
            let covering = chain.filter(|(full, _)| at < *full);
            if let Some((_, last)) = covering.filter(|_| self.items[at].complete) {
                self.mark_for(at, last);
            }
            if let Some(full) = full_of_last.get(&at) {
                self.mark_for(*full, at);
                chain = covering
                    .filter(|(furthest, _)| furthest > full)
                    .or(Some((*full, at)));
            }
            if let Some(((_, last), previous)) = chain
                .filter(|(full, _)| at < *full)
                .zip(self.chains.previous[at])
            {
                self.mark_for(previous, last);
            }
        }
    }

    fn mark_for(&mut self, at: usize, needed_by: usize) {
        self.mark(at, Reason::NeededBy(self.items[needed_by].id.clone()));
    }

    fn mark_locked(&mut self) {
        for at in 0..self.items.len() {
            if self.items[at].locked && self.reasons[at].is_empty() {
                self.locked.push(self.items[at].id.clone());
                self.mark(at, Reason::Locked);
            }
        }
    }

    fn mark(&mut self, at: usize, reason: Reason) {
        if !self.reasons[at].contains(&reason) {
            self.reasons[at].push(reason);
        }
    }

    fn finish(self) -> Plan {
        let broken = (0..self.items.len())
            .filter(|at| self.is_broken(*at))
            .map(|at| self.items[at].id.clone())
            .collect();
        let mut plan = Plan {
            locked: self.locked,
            broken,
            ..Plan::default()
        };
        for (item, reasons) in self.items.iter().zip(self.reasons) {
            if reasons.is_empty() {
                plan.delete.push(item.id.clone());
            } else {
                plan.keep.push(Kept {
                    id: item.id.clone(),
                    reasons,
                });
            }
        }
        // Should a caller name one twice, the one that stays decides.
        let kept: HashSet<&str> = plan.keep.iter().map(|kept| kept.id.as_str()).collect();
        plan.delete.retain(|id| !kept.contains(id.as_str()));
        plan
    }
}

fn is_expired(item: &Item, reference: Timestamp) -> bool {
    item.expire_after.is_some_and(|end| end <= reference)
}

fn is_within(time: Timestamp, reference: Timestamp, within: Option<Duration>) -> bool {
    let within = within.unwrap_or(Duration::ZERO);
    let within = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
    !within.is_zero() && reference.duration_since(time) <= within
}

fn limit(count: Option<u32>) -> usize {
    usize::try_from(count.unwrap_or(0)).unwrap_or(usize::MAX)
}

fn iso_week(date: Date) -> (i16, i16) {
    let week = date.iso_week_date();
    (week.year(), i16::from(week.week()))
}
