//! Reads HOCON as EMQX writes it into its archives: objects, lists, quoted and bare words.
//! Substitutions and includes, which EMQX never writes, are left as words.

use serde_json::{Map, Value};

/// How deep values may lie in one another.
const DEPTH: u32 = 48;

/// The values of a text; none where it can't be read.
pub(super) fn parse(text: &str) -> Option<Map<String, Value>> {
    let mut reader = Reader { rest: text };
    reader.blanks();
    let braces = reader.eat("{");
    let object = reader.object(DEPTH, braces)?;
    reader.blanks();
    reader.rest.is_empty().then_some(object)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn eat(&mut self, word: &str) -> bool {
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Skips blanks, commas, line ends and comments.
    fn blanks(&mut self) {
        loop {
            self.rest = self
                .rest
                .trim_start_matches(|c: char| c.is_whitespace() || c == ',' || c == '\u{feff}');
            if !self.rest.starts_with('#') && !self.rest.starts_with("//") {
                return;
            }
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.rest = &self.rest[end..];
        }
    }

    /// Fields up to the closing brace, or to the end where there was no opening one.
    fn object(&mut self, depth: u32, braces: bool) -> Option<Map<String, Value>> {
        let depth = depth.checked_sub(1)?;
        let mut object = Map::new();
        loop {
            self.blanks();
            if braces && self.eat("}") {
                return Some(object);
            }
            if self.rest.is_empty() {
                return (!braces).then_some(object);
            }
            let key = self.key()?;
            self.rest = self.rest.trim_start();
            if !(self.rest.starts_with('{') || self.eat("=") || self.eat(":")) {
                return None;
            }
            object.insert(key, self.value(depth)?);
        }
    }

    fn key(&mut self) -> Option<String> {
        if self.rest.starts_with('"') {
            return self.quoted();
        }
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || "={:[]},\"".contains(c))?;
        let (key, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!key.is_empty()).then(|| key.to_owned())
    }

    fn value(&mut self, depth: u32) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        self.rest = self.rest.trim_start();
        if self.eat("{") {
            return self.object(depth, true).map(Value::Object);
        }
        if self.eat("[") {
            let mut list = Vec::new();
            loop {
                self.blanks();
                if self.eat("]") {
                    return Some(Value::Array(list));
                }
                list.push(self.value(depth)?);
            }
        }
        // Words on one line are one text: "a"b"c".
        let mut text = String::new();
        let mut bare = true;
        loop {
            if self.rest.starts_with('"') {
                bare = false;
                text.push_str(&self.quoted()?);
                continue;
            }
            let end = self
                .rest
                .find(|c: char| "\n,]}\"#".contains(c))
                .unwrap_or(self.rest.len());
            if end == 0 || (!bare && self.rest[..end].trim().is_empty()) {
                break;
            }
            let (word, rest) = self.rest.split_at(end);
            // `${NAME}` holds a closing brace.
            let more = word.ends_with(|c| c != ' ') && word.contains("${") && rest.starts_with('}');
            text.push_str(word);
            self.rest = rest;
            if more {
                text.push('}');
                self.rest = &self.rest[1..];
            }
        }
        let text = if bare { text.trim() } else { &text };
        if bare && text.is_empty() {
            return None;
        }
        Some(match (bare, text) {
            (true, "true") => Value::Bool(true),
            (true, "false") => Value::Bool(false),
            (true, "null") => Value::Null,
            _ => Value::String(text.to_owned()),
        })
    }

    fn quoted(&mut self) -> Option<String> {
        if self.eat("\"\"\"") {
            let (text, rest) = self.rest.split_once("\"\"\"")?;
            self.rest = rest.trim_start_matches('"');
            return Some(text.to_owned());
        }
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(text);
                }
                '\\' => match chars.next()?.1 {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    other => text.push(other),
                },
                c => text.push(c),
            }
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let text = "a {}\nb = [ {c = 1, d = x}, {e = \"q \\\" \\n\"} ]\nf.g { h = \"${X}/y\", i = true }\n\
                    # no\nj = 5m // no\nk = \"\"\"two\nlines\"\"\"\n\"l m\" = ${DIR}/z\n";
        let found = Value::Object(parse(text).unwrap());
        let expected = serde_json::json!({
            "a": {},
            "b": [{"c": "1", "d": "x"}, {"e": "q \" \n"}],
            "f.g": {"h": "${X}/y", "i": true},
            "j": "5m // no",
            "k": "two\nlines",
            "l m": "${DIR}/z",
        });
        assert_eq!(found, expected);
        assert_eq!(parse("{a = 1}").unwrap().len(), 1);
        for bad in [
            "a", "a = ", "a {", "a = [", "a = \"b", "}", "= 1", "a = 1 }",
        ] {
            assert!(parse(bad).is_none(), "{bad:?}");
        }
        assert!(parse(&"a {".repeat(1000)).is_none());
        assert!(parse(&format!("a = {}", "[".repeat(10_000))).is_none());
    }
}
