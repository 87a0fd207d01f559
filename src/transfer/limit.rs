//! The bound on bytes a second, shared by all parts of a run.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// A quantity that can't be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("maxBytesPerSecond {0:?} is not a quantity; write for example 500k, 50Mi or 1Gi")]
pub struct ThrottleError(String);

/// Lets so many bytes a second pass. Cheap to clone; all clones share one bound.
#[derive(Clone, Debug, Default)]
pub struct Throttle(Option<Arc<Bucket>>);

#[derive(Debug)]
struct Bucket {
    bytes_per_second: u64,
    /// When all bytes that were let through so far are paid for.
    paid_until: Mutex<Instant>,
}

/// What may pass at once after a pause.
const BURST: Duration = Duration::from_millis(250);

impl Throttle {
    /// No bound.
    pub fn unlimited() -> Self {
        Self(None)
    }

    /// Reads `spec.limits.maxBytesPerSecond`; none: no bound.
    pub fn parse(quantity: Option<&str>) -> Result<Self, ThrottleError> {
        let Some(text) = quantity else {
            return Ok(Self::unlimited());
        };
        let wrong = || ThrottleError(text.chars().take(40).collect());
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit: u64 = match &text[digits.len()..] {
            "" => 1,
            "k" => 1000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            _ => return Err(wrong()),
        };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        let bytes_per_second = count
            .checked_mul(unit)
            .filter(|n| *n > 0)
            .ok_or_else(wrong)?;
        Ok(Self(Some(Arc::new(Bucket {
            bytes_per_second,
            paid_until: Mutex::new(Instant::now()),
        }))))
    }

    /// Waits until so many bytes may pass.
    pub async fn pass(&self, bytes: usize) {
        let Some(bucket) = &self.0 else {
            return;
        };
        let wait_until = {
            let mut paid_until = bucket.paid_until.lock().await;
            let now = Instant::now();
            let start = (*paid_until).max(now.checked_sub(BURST).unwrap_or(now));
            #[allow(clippy::cast_precision_loss)] // A wait need not be exact to the nanosecond.
            let cost = Duration::from_secs_f64(bytes as f64 / bucket.bytes_per_second as f64);
            *paid_until = start + cost;
            *paid_until
        };
        tokio::time::sleep_until(wait_until).await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn quantities() {
        for (text, bytes) in [
            ("1", Some(1)),
            ("500k", Some(500_000)),
            ("50Mi", Some(50 << 20)),
            ("2G", Some(2_000_000_000)),
            ("1Gi", Some(1 << 30)),
            ("3Ki", Some(3 << 10)),
            ("7M", Some(7_000_000)),
            ("0", None),
            ("", None),
            ("Mi", None),
            ("-1Mi", None),
            ("1.5Mi", None),
            ("1Ti", None),
            ("1 Mi", None),
            ("99999999999999999999", None),
            ("9999999999999999999Gi", None),
        ] {
            let parsed = Throttle::parse(Some(text));
            assert_eq!(
                parsed.ok().map(|t| t.0.unwrap().bytes_per_second),
                bytes,
                "{text}"
            );
        }
        assert!(Throttle::parse(None).unwrap().0.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn all_clones_share_one_bound() {
        let throttle = Throttle::parse(Some("1Mi")).unwrap();
        let start = Instant::now();
        let passing = (0..4).map(|_| {
            let throttle = throttle.clone();
            async move {
                for _ in 0..10 {
                    throttle.pass(256 * 1024).await;
                }
            }
        });
        futures::future::join_all(passing).await;
        let took = start.elapsed().as_secs_f64();
        assert!((9.5..=10.1).contains(&took), "{took}");
    }
}
