//! Reads a job pod's order: a file of bounded size.

use std::io::Read;
use std::path::Path;

use crate::api::order::Order;

use super::JobError;

/// The most bytes an order may have. It travels as an annotation of the pod, and Kubernetes allows
/// 256 KiB for all of them together.
const ORDER_LIMIT: u64 = 256 * 1024;

/// Reads and parses the order at `path`.
pub(super) fn read(path: &Path) -> Result<Order, JobError> {
    let problem = |text: String| JobError::BadOrder {
        path: path.display().to_string(),
        problem: text,
    };
    let file = std::fs::File::open(path).map_err(|error| problem(error.to_string()))?;
    let mut text = Vec::new();
    file.take(ORDER_LIMIT + 1)
        .read_to_end(&mut text)
        .map_err(|error| problem(error.to_string()))?;
    if text.len() as u64 > ORDER_LIMIT {
        return Err(problem(format!("it has more than {ORDER_LIMIT} bytes")));
    }
    serde_json::from_slice(&text).map_err(|error| problem(error.to_string()))
}

/// The word for an order's task.
pub(super) fn task_name(order: &Order) -> &'static str {
    match order {
        Order::Export(_) => "export",
        Order::Import(_) => "import",
        Order::Verify(_) => "verify",
        Order::Prune(_) => "prune",
        Order::Replicate(_) => "replicate",
    }
}
