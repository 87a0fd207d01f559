//! Cuts the elements out of one array of a JSON answer while it arrives, so that an answer of any
//! length takes the memory of its largest element.

use memchr::memchr2;

/// The most bytes of one element: what Elasticsearch takes of one document by default.
pub(super) const MAX_ELEMENT: usize = 100 << 20;
/// The most bytes of all that is not in the array.
const MAX_ENVELOPE: usize = 4 << 20;

/// Where hits lie in the answer to a search.
pub(super) const HITS: &[&str] = &["hits", "hits"];
/// Where documents lie in the answer to a multi-get.
pub(super) const DOCS: &[&str] = &["docs"];
/// Where results lie in the answer to a bulk request.
pub(super) const ITEMS: &[&str] = &["items"];

/// Where a reader of JSON is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Outside,
    Inside,
    /// Just behind a backslash.
    Escaped,
}

/// Splits one answer.
#[derive(Debug)]
pub(super) struct Splitter {
    path: &'static [&'static str],
    /// Open objects and arrays.
    depth: usize,
    /// How many keys of the path lead to where we are: the container at depth `matched + 1`.
    matched: usize,
    /// The value that comes next belongs to the next key of the path.
    pending: bool,
    text_state: Text,
    in_element: bool,
    /// The last string of the envelope.
    text: (usize, usize),
    envelope: Vec<u8>,
    element: Vec<u8>,
}

impl Splitter {
    /// For the array at `path`.
    pub(super) fn new(path: &'static [&'static str]) -> Self {
        Self {
            path,
            depth: 0,
            matched: 0,
            pending: false,
            text_state: Text::Outside,
            in_element: false,
            text: (0, 0),
            envelope: Vec::new(),
            element: Vec::new(),
        }
    }

    /// Bytes of the element that is being read.
    pub(super) fn waiting(&self) -> usize {
        self.element.len()
    }

    /// Reads on in `bytes`, up to the end of an element: that is given, and what follows it stays in
    /// `bytes`. None once all is read.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
        while !bytes.is_empty() {
            let step = self.step(bytes)?;
            let (read, rest) = bytes.split_at(step.min(bytes.len()));
            *bytes = rest;
            if self.in_element {
                if self.element.len() + read.len() > MAX_ELEMENT {
                    return Err("a document is larger than 100 MiB");
                }
                grow(&mut self.element, read.len());
                self.element.extend_from_slice(read);
                if self.at_array() && self.text_state == Text::Outside {
                    self.in_element = false;
                    return Ok(Some(std::mem::take(&mut self.element)));
                }
            } else {
                if self.envelope.len() + read.len() > MAX_ENVELOPE {
                    return Err("it is too long");
                }
                self.envelope.extend_from_slice(read);
            }
        }
        Ok(None)
    }

    /// All but the elements, once the answer is over; none where it ended too early.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        let whole = self.depth == 0 && !self.envelope.is_empty();
        whole.then(|| without_elements(&self.envelope))
    }

    fn at_array(&self) -> bool {
        self.matched == self.path.len() && self.depth == self.matched + 1
    }

    /// Looks at the next byte, or at a run of bytes that change nothing; how many they are.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        if self.text_state != Text::Outside {
            return Ok(self.string(bytes));
        }
        let Some(&byte) = bytes.first() else {
            return Ok(0);
        };
        match byte {
            b'"' => {
                if self.at_array() && !self.in_element {
                    return Err("an element is not an object");
                }
                self.text_state = Text::Inside;
                self.text = (self.envelope.len() + 1, 0);
            }
            b':' if !self.in_element => {
                let key = self.envelope.get(self.text.0..self.text.1);
                let wanted = self.path.get(self.matched).map(|key| key.as_bytes());
                self.pending = self.depth == self.matched + 1 && key.is_some() && key == wanted;
            }
            b',' if !self.in_element => self.pending = false,
            b'{' | b'[' => self.open(byte)?,
            b'}' | b']' => self.close()?,
            _ => {
                let plain = bytes
                    .iter()
                    .position(|byte| b"\"{}[]:,".contains(byte))
                    .unwrap_or(bytes.len());
                return Ok(plain.max(1));
            }
        }
        Ok(1)
    }

    fn open(&mut self, byte: u8) -> Result<(), &'static str> {
        if self.at_array() && !self.in_element {
            if byte != b'{' {
                return Err("an element is not an object");
            }
            self.in_element = true;
        }
        self.depth += 1;
        if std::mem::take(&mut self.pending) {
            self.matched += 1;
            if (self.matched == self.path.len()) != (byte == b'[') {
                return Err("it has another form than expected");
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), &'static str> {
        if self.depth == 0 {
            return Err("it is not JSON");
        }
        if !self.in_element && self.depth == self.matched + 1 && self.matched > 0 {
            self.matched -= 1;
        }
        self.depth -= 1;
        Ok(())
    }

    fn string(&mut self, bytes: &[u8]) -> usize {
        if self.text_state == Text::Escaped {
            self.text_state = Text::Inside;
            return 1;
        }
        match memchr2(b'"', b'\\', bytes) {
            None => bytes.len(),
            Some(at) => {
                if bytes[at] == b'"' {
                    self.text_state = Text::Outside;
                    self.text.1 = self.envelope.len() + at;
                } else {
                    self.text_state = Text::Escaped;
                }
                at + 1
            }
        }
    }
}

/// Makes room for more. Doubling would hold twice of what a large document needs.
pub(super) fn grow(bytes: &mut Vec<u8>, more: usize) {
    if bytes.capacity() - bytes.len() < more {
        bytes.reserve_exact(more.max(bytes.len() / 4));
    }
}

/// Takes out the commas that stood between elements.
fn without_elements(envelope: &[u8]) -> Vec<u8> {
    let mut clean: Vec<u8> = Vec::with_capacity(envelope.len());
    let (mut in_string, mut escaped) = (false, false);
    for &byte in envelope {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else {
            in_string = byte == b'"';
            let after_nothing = matches!(clean.last(), Some(b'[' | b','));
            if byte.is_ascii_whitespace() || (byte == b',' && after_nothing) {
                continue;
            }
        }
        clean.push(byte);
    }
    clean
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn split(
        path: &'static [&'static str],
        text: &str,
        piece: usize,
    ) -> Result<(Vec<String>, Option<String>), &'static str> {
        let mut splitter = Splitter::new(path);
        let mut found = Vec::new();
        for mut bytes in text.as_bytes().chunks(piece) {
            while let Some(element) = splitter.next(&mut bytes)? {
                found.push(String::from_utf8(element).unwrap());
            }
        }
        let envelope = splitter.finish();
        Ok((found, envelope.map(|all| String::from_utf8(all).unwrap())))
    }

    #[test]
    fn elements_come_out_whole_however_they_are_cut() {
        let text = r#"{"_scroll_id":"a\"]}","hits":{"total":{"value":3},"hits":[{"_id":"1","_source":{"hits":[{"x":"}]"}]}},
 {"_id":"2\\"} ,{"_id":"\"{"}],"max_score":null},"took":1}"#;
        for piece in 1..text.len() {
            let (found, envelope) = split(HITS, text, piece).unwrap();
            assert_eq!(
                found,
                [
                    r#"{"_id":"1","_source":{"hits":[{"x":"}]"}]}}"#,
                    r#"{"_id":"2\\"}"#,
                    r#"{"_id":"\"{"}"#
                ],
                "{piece}"
            );
            let envelope: serde_json::Value = serde_json::from_str(&envelope.unwrap()).unwrap();
            assert_eq!(envelope["hits"]["total"]["value"], 3);
            assert_eq!(envelope["took"], 1);
        }
    }

    #[test]
    fn a_key_of_the_path_elsewhere_is_none() {
        let text =
            r#"{"x":{"hits":[{"a":1}]},"hits":{"x":[{"hits":1}],"hits":[]},"items":[{"b":1}]}"#;
        assert_eq!(split(HITS, text, 7).unwrap().0, Vec::<String>::new());
        assert_eq!(split(ITEMS, text, 7).unwrap().0, [r#"{"b":1}"#]);
        assert_eq!(split(DOCS, text, 7).unwrap().0, Vec::<String>::new());
    }

    #[test]
    fn an_answer_that_is_cut_has_no_end() {
        for text in [
            "",
            r#"{"items":[{"a":1}"#,
            r#"{"items":[]"#,
            r#"{"items":["#,
        ] {
            assert_eq!(split(ITEMS, text, 3).unwrap().1, None, "{text}");
        }
    }

    #[test]
    fn odd_answers_are_refused() {
        for text in [
            r#"{"items":{"a":1}}"#,
            r#"{"items":["a"]}"#,
            r#"{"items":[[1]]}"#,
            "]",
        ] {
            assert!(split(ITEMS, text, 3).is_err(), "{text}");
        }
    }

    #[test]
    fn an_envelope_is_json_again() {
        for (envelope, want) in [
            (
                r#"{"hits":{"hits":[,,, ,]},"a":",[ ,"}"#,
                r#"{"hits":{"hits":[]},"a":",[ ,"}"#,
            ),
            (
                r#"{"hits":[] , "a\",[,":[1, 2]}"#,
                r#"{"hits":[],"a\",[,":[1,2]}"#,
            ),
        ] {
            let clean = String::from_utf8(without_elements(envelope.as_bytes())).unwrap();
            assert_eq!(clean, want);
        }
    }
}
