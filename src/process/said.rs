//! What a command says to people: each line goes to the log, the last ones are kept for a failure.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::JoinSet;

use crate::secrets::Secrets;

/// How many lines are kept.
const LINES: usize = 8;
/// The most characters of a kept line; the log has more.
const KEPT: usize = 200;
/// The most characters of a line in the log.
const LOGGED: usize = 2000;
/// The most bytes of a line that are looked at. More than what is shown, so that no secret is cut in
/// two where it ends.
const LOOKED_AT: usize = 16 * 1024;

/// Listens to a command's words.
#[derive(Debug)]
pub(super) struct Said {
    ear: Ear,
    listening: JoinSet<()>,
}

#[derive(Clone, Debug)]
struct Ear {
    what: String,
    secrets: Secrets,
    last: Arc<Mutex<VecDeque<String>>>,
}

impl Said {
    pub(super) fn new(what: &str, secrets: &Secrets) -> Self {
        Self {
            ear: Ear {
                what: what.to_owned(),
                secrets: secrets.clone(),
                last: Arc::default(),
            },
            listening: JoinSet::new(),
        }
    }

    /// Takes all that comes, to its end: a command that nobody listens to would stand still.
    pub(super) fn listen(&mut self, mut from: impl AsyncRead + Send + Unpin + 'static) {
        let ear = self.ear.clone();
        self.listening.spawn(async move {
            let (mut lines, mut piece) = (Lines::default(), vec![0; 8 * 1024]);
            while let Ok(length @ 1..) = from.read(&mut piece).await {
                for line in lines.push(&piece[..length]) {
                    ear.hear(&line);
                }
            }
            if let Some(line) = lines.rest() {
                ear.hear(&line);
            }
        });
    }

    /// The last lines of a command that has ended.
    pub(super) async fn last_words(&mut self, patience: Duration) -> String {
        let all = async { while self.listening.join_next().await.is_some() {} };
        if tokio::time::timeout(patience, all).await.is_err() {
            self.listening.abort_all();
        }
        let last = self.ear.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_empty() {
            return "it said nothing".to_owned();
        }
        last.iter().cloned().collect::<Vec<_>>().join(" | ")
    }
}

impl Ear {
    fn hear(&self, line: &[u8]) {
        let plain: String = String::from_utf8_lossy(line)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let plain = self.secrets.mask(plain.trim());
        if plain.is_empty() {
            return;
        }
        let cut = |limit: usize| plain.chars().take(limit).collect::<String>();
        tracing::info!(command = %self.what, "{}", cut(LOGGED));
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == LINES {
            last.pop_front();
        }
        last.push_back(cut(KEPT));
    }
}

/// Cuts bytes into lines. What is beyond [`LOOKED_AT`] bytes of a line is left out.
#[derive(Debug, Default)]
struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// The lines that end in `piece`.
    fn push(&mut self, piece: &[u8]) -> Vec<Vec<u8>> {
        let mut ended = Vec::new();
        let mut rest = piece;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            self.add(&rest[..end]);
            ended.push(std::mem::take(&mut self.begun));
            rest = &rest[end + 1..];
        }
        self.add(rest);
        ended
    }

    /// The last line, where it has no end.
    fn rest(self) -> Option<Vec<u8>> {
        (!self.begun.is_empty()).then_some(self.begun)
    }

    fn add(&mut self, bytes: &[u8]) {
        let room = LOOKED_AT.saturating_sub(self.begun.len());
        self.begun
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_wherever_pieces_end_and_are_bounded() {
        let mut lines = Lines::default();
        let mut seen = lines.push(b"one\ntw");
        seen.extend(lines.push(b"o\n\nthr"));
        seen.extend(lines.push(b"ee"));
        seen.extend(lines.rest());
        assert_eq!(seen, [&b"one"[..], b"two", b"", b"three"]);

        let mut lines = Lines::default();
        for _ in 0..100 {
            assert!(lines.push(&[b'x'; 1024]).is_empty());
        }
        assert_eq!(lines.push(b"\n")[0].len(), LOOKED_AT);
    }

    #[tokio::test]
    async fn the_last_lines_are_kept_without_secrets_and_control_characters() {
        let secrets = Secrets::from_values(["pa55w0rd".to_owned()]);
        let mut said = Said::new("the export command", &secrets);
        let mut text = (0..20).fold(String::new(), |text, n| format!("{text}line {n}\n"));
        text.push_str("user=reader password=pa55w0rd \x1b[31mred\n\n");
        text.push_str(&"é".repeat(5000));
        said.listen(std::io::Cursor::new(text.into_bytes()));
        let last = said.last_words(Duration::from_secs(5)).await;
        let lines: Vec<&str> = last.split(" | ").collect();
        assert_eq!(lines.len(), LINES);
        assert_eq!(lines[0], "line 14");
        assert_eq!(lines[6], "user=reader password=[secret]  [31mred");
        assert_eq!(lines[7].chars().count(), KEPT);
    }
}
