//! Cuts the bytes of a part into lines.

use bytes::Bytes;

use super::split::{MAX_ELEMENT, grow};
use crate::engine::EngineError;
use crate::transfer::RecordSource;

/// More than a document: its id, its routing and the name of its index stand beside it.
const MAX_LINE: usize = MAX_ELEMENT + (1 << 20);

/// The lines of one part.
pub(super) struct Lines<'a> {
    source: &'a mut dyn RecordSource,
    rest: Bytes,
    line: Vec<u8>,
}

impl<'a> Lines<'a> {
    /// Of a part's bytes.
    pub(super) fn new(source: &'a mut dyn RecordSource) -> Self {
        Self {
            source,
            rest: Bytes::new(),
            line: Vec::new(),
        }
    }

    /// Reads on: up to the end of a line, or of a piece. None at the end of the part.
    pub(super) async fn next(&mut self) -> Result<Option<Step>, EngineError> {
        if self.rest.is_empty() {
            match self.source.next().await? {
                Some(piece) => self.rest = piece,
                None if self.line.is_empty() => return Ok(None),
                None => return Err(bad("its last line has no end")),
            }
        }
        let end = memchr::memchr(b'\n', &self.rest);
        let taken = self.rest.split_to(end.map_or(self.rest.len(), |at| at + 1));
        if self.line.len() + taken.len() > MAX_LINE {
            return Err(bad("a line of it is longer than 101 MiB"));
        }
        grow(&mut self.line, taken.len());
        self.line.extend_from_slice(&taken);
        if end.is_none() {
            return Ok(Some(Step::Waiting(self.line.len())));
        }
        self.line.pop();
        Ok(Some(Step::Line(std::mem::take(&mut self.line))))
    }
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A whole line, without its end.
    Line(Vec<u8>),
    /// So many bytes of one.
    Waiting(usize),
}

/// A backup whose lines are not what they should be.
pub(super) fn bad(problem: &str) -> EngineError {
    EngineError::BadBackup {
        problem: format!("a file of it is not Elasticsearch documents: {problem}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::transfer::TransferError;

    struct Pieces(Vec<&'static str>);

    #[async_trait]
    impl RecordSource for Pieces {
        async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
            let next = (!self.0.is_empty()).then(|| self.0.remove(0));
            Ok(next.map(|text| Bytes::from_static(text.as_bytes())))
        }
    }

    async fn read(pieces: &[&'static str]) -> Result<Vec<String>, EngineError> {
        let mut pieces = Pieces(pieces.to_vec());
        let mut lines = Lines::new(&mut pieces);
        let mut found = Vec::new();
        while let Some(step) = lines.next().await? {
            if let Step::Line(line) = step {
                found.push(String::from_utf8(line).unwrap());
            }
        }
        Ok(found)
    }

    #[tokio::test]
    async fn lines_come_out_whole() {
        assert_eq!(
            read(&["a\nb", "", "c\n", "\nd", "\n"]).await.unwrap(),
            ["a", "bc", "", "d"]
        );
        assert!(read(&[]).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_end_that_is_missing_is_an_error() {
        let error = read(&["a\nb"]).await.unwrap_err();
        assert!(error.to_string().contains("no end"), "{error}");
    }
}
