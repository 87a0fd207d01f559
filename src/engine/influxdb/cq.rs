//! Checks that a text from a bucket is one CREATE CONTINUOUS QUERY statement, before it is executed.
//!
//! Vendor source: `influxql` 1.x, `scanner.go`, `parser.go`.

/// Says what is wrong with `text`, if it is not the one statement that makes the continuous query
/// `name` on `database`.
pub(super) fn check(text: &str, name: &str, database: &str) -> Result<(), &'static str> {
    let tokens = tokens(text)?;
    let mut rest = tokens.as_slice();
    for word in ["CREATE", "CONTINUOUS", "QUERY"] {
        rest = keyword(rest, word).ok_or("it does not begin with CREATE CONTINUOUS QUERY")?;
    }
    let (found, rest) = rest.split_first().ok_or("it ends too early")?;
    if found.name() != Some(name) {
        return Err("it makes a query of another name");
    }
    let rest = keyword(rest, "ON").ok_or("it does not say ON")?;
    let (found, rest) = rest.split_first().ok_or("it ends too early")?;
    if found.name() != Some(database) {
        return Err("it is on another database");
    }
    let begin = rest
        .iter()
        .position(|token| token.is("BEGIN"))
        .ok_or("it has no BEGIN")?;
    let body = &rest[begin + 1..];
    if !body.first().is_some_and(|token| token.is("SELECT")) {
        return Err("it does not select");
    }
    let ends = body.iter().filter(|token| token.is("END")).count();
    if ends != 1 || !body.last().is_some_and(|token| token.is("END")) {
        return Err("it goes on after its END");
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Quoted(String),
    Text,
    Other,
}

impl Token {
    fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn name(&self) -> Option<&str> {
        match self {
            Self::Word(name) | Self::Quoted(name) => Some(name),
            Self::Text | Self::Other => None,
        }
    }
}

fn keyword<'a>(tokens: &'a [Token], word: &str) -> Option<&'a [Token]> {
    let (first, rest) = tokens.split_first()?;
    first.is(word).then_some(rest)
}

/// Splits a statement. A semicolon, a comment or a control character outside quotes is refused.
fn tokens(text: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => {}
            '"' | '\'' => {
                let content = quoted(&mut chars, c).ok_or("a quote is not closed")?;
                tokens.push(if c == '"' {
                    Token::Quoted(content)
                } else {
                    Token::Text
                });
            }
            ';' => return Err("it has a semicolon"),
            // A regular expression, a division or a comment: quotes in it would be read wrongly.
            '/' if matches!(chars.peek(), Some('*')) => return Err("it has a comment"),
            '-' if matches!(chars.peek(), Some('-')) => return Err("it has a comment"),
            '/' => {
                regex(&mut chars, tokens.last());
                tokens.push(Token::Other);
            }
            c if c.is_alphanumeric() || c == '_' => {
                let mut word = String::from(c);
                while let Some(next) = chars.peek().filter(|c| c.is_alphanumeric() || **c == '_') {
                    word.push(*next);
                    chars.next();
                }
                tokens.push(Token::Word(word));
            }
            c if c.is_control() => return Err("it has a control character"),
            _ => tokens.push(Token::Other),
        }
    }
    Ok(tokens)
}

fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, quote: char) -> Option<String> {
    let mut content = String::new();
    loop {
        match chars.next()? {
            '\\' => match chars.next()? {
                'n' => content.push('\n'),
                c @ ('\\' | '"' | '\'') => content.push(c),
                _ => return None,
            },
            '\n' => return None,
            c if c == quote => return Some(content),
            c => content.push(c),
        }
    }
}

/// Skips a regular expression, where one can stand: after FROM, a comma, a dot, or an operator.
fn regex(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, before: Option<&Token>) {
    let is_division = matches!(before, Some(Token::Quoted(_) | Token::Text))
        || matches!(before, Some(Token::Word(word)) if !["from", "by"].contains(&word.to_ascii_lowercase().as_str()));
    if is_division {
        return;
    }
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '/' => return,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements() {
        let good = "CREATE CONTINUOUS QUERY \"q 1\" ON d BEGIN SELECT mean(v) INTO d.\"r\".m FROM d.autogen./a;\"b/ WHERE x = 'y;' GROUP BY time(1m) END";
        assert_eq!(check(good, "q 1", "d"), Ok(()));
        let resample = "CREATE CONTINUOUS QUERY q ON \"d\" RESAMPLE EVERY 1h FOR 90m BEGIN SELECT mean(a / b) INTO m FROM n GROUP BY time(1m), * END";
        assert_eq!(check(resample, "q", "d"), Ok(()));
        for text in [
            "",
            "DROP DATABASE d",
            "CREATE DATABASE d",
            "CREATE CONTINUOUS QUERY q ON e BEGIN SELECT 1 END",
            "CREATE CONTINUOUS QUERY p ON d BEGIN SELECT 1 END",
            "CREATE CONTINUOUS QUERY q ON d BEGIN SELECT 1 END; DROP DATABASE d",
            "CREATE CONTINUOUS QUERY q ON d BEGIN SELECT 1 END DROP DATABASE d",
            "CREATE CONTINUOUS QUERY q ON d BEGIN DROP DATABASE d END",
            "CREATE CONTINUOUS QUERY q ON d BEGIN SELECT 1 -- END",
            "CREATE CONTINUOUS QUERY q ON d BEGIN SELECT 1 /* END",
            "CREATE CONTINUOUS QUERY q ON d BEGIN SELECT 'x END",
            "CREATE CONTINUOUS QUERY q ON d",
        ] {
            assert!(check(text, "q", "d").is_err(), "{text}");
        }
    }
}
