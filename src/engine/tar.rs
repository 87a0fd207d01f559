//! Reads a tar archive as it comes, block by block, and holds nothing but a header.
//!
//! It reads what Erlang's `erl_tar` and Python's `tarfile` write: ustar headers, with PAX or GNU
//! records for long names and, where they are taken, PAX records for large files. Everything else
//! (links, devices, sparse files) it refuses.

/// Why an archive is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault(String);

impl Fault {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes of a block.
const BLOCK: usize = 512;
/// The most bytes of a record that gives the next entry a long name.
const LONG_NAME: u64 = 16 * 1024;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file.
    File,
    /// A directory.
    Directory,
}

/// Is told what an archive is made of.
pub(super) trait Visit {
    /// An entry begins.
    fn entry(&mut self, name: &str, kind: Kind, size: u64) -> Result<(), Fault>;
    /// Bytes of the entry's content.
    fn content(&mut self, bytes: &[u8]) -> Result<(), Fault>;
    /// The entry has ended.
    fn ended(&mut self) -> Result<(), Fault>;
    /// Whole blocks as they are, of the entry that was told of last or of the archive's end.
    fn blocks(&mut self, bytes: &[u8]) -> Result<(), Fault>;
    /// All entries have ended.
    fn last(&mut self);
}

#[derive(Debug)]
enum State {
    /// A header comes next.
    Header,
    /// Content of an entry; the bytes that are left.
    Content(u64),
    /// A record with the next entry's name: the bytes that are left, and whether it is PAX.
    Name { left: u64, pax: bool },
    /// Zeros up to the end.
    End,
}

/// The reader.
#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    block: Vec<u8>,
    /// Blocks of records that belong to the entry that comes next.
    held: Vec<u8>,
    /// Content of such a record.
    record: Vec<u8>,
    next: Next,
    /// Whether a PAX record may say how large an entry is.
    large: bool,
    ended: bool,
}

/// What a record says of the entry that comes next.
#[derive(Debug, Default)]
struct Next {
    name: Option<String>,
    size: Option<u64>,
}

impl Reader {
    /// For a new archive.
    pub(super) fn new() -> Self {
        Self {
            state: State::Header,
            block: Vec::with_capacity(BLOCK),
            held: Vec::new(),
            record: Vec::new(),
            next: Next::default(),
            large: false,
            ended: false,
        }
    }

    /// Takes entries of 8 GiB and more too, which Python writes with PAX records.
    pub(super) fn with_large_entries(mut self) -> Self {
        self.large = true;
        self
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8], visit: &mut dyn Visit) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(bytes.len().min(BLOCK - self.block.len()));
            self.block.extend_from_slice(piece);
            bytes = rest;
            if self.block.len() == BLOCK {
                let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
                self.take(&block, visit)?;
            }
        }
        Ok(())
    }

    /// Whether the archive came to its end.
    pub(super) fn finish(&self) -> Result<(), Fault> {
        if self.ended && self.block.is_empty() {
            Ok(())
        } else {
            Err(Fault::new("it is cut off before its end"))
        }
    }

    fn take(&mut self, block: &[u8], visit: &mut dyn Visit) -> Result<(), Fault> {
        match self.state {
            State::Header => self.header(block, visit),
            State::Content(left) => {
                let (used, rest) = within(left);
                visit.content(&block[..used])?;
                visit.blocks(block)?;
                self.go_on(rest, visit)
            }
            State::Name { left, pax } => {
                let (used, rest) = within(left);
                self.held.extend_from_slice(block);
                self.record.extend_from_slice(&block[..used]);
                if rest > 0 {
                    self.state = State::Name { left: rest, pax };
                    return Ok(());
                }
                let record = std::mem::take(&mut self.record);
                self.next = next_in(&record, pax)?;
                if self.next.size.is_some() && !self.large {
                    return Err(no_pax());
                }
                self.state = State::Header;
                Ok(())
            }
            State::End if block.iter().all(|byte| *byte == 0) => visit.blocks(block),
            State::End => Err(Fault::new("there is something after its end")),
        }
    }

    fn header(&mut self, block: &[u8], visit: &mut dyn Visit) -> Result<(), Fault> {
        if block.iter().all(|byte| *byte == 0) {
            if !self.held.is_empty() {
                return Err(Fault::new("an entry's name has no entry"));
            }
            self.state = State::End;
            self.ended = true;
            visit.last();
            return visit.blocks(block);
        }
        let header = Header(block);
        header.check()?;
        let size = header.size()?;
        match header.kind() {
            b'L' | b'x' => {
                if size == 0 || size > LONG_NAME || !self.held.is_empty() {
                    return Err(Fault::new("an entry's name is too long"));
                }
                self.held.extend_from_slice(block);
                self.state = State::Name {
                    left: size,
                    pax: header.kind() == b'x',
                };
                Ok(())
            }
            found => {
                let next = std::mem::take(&mut self.next);
                let size = next.size.unwrap_or(size);
                let kind = match found {
                    0 | b'0' => Kind::File,
                    b'5' if size == 0 => Kind::Directory,
                    b'1' | b'2' => return Err(Fault::new("an entry of it is a link")),
                    b'3' | b'4' | b'6' => return Err(Fault::new("an entry of it is a device")),
                    _ => return Err(Fault::new("an entry of it is of an unknown kind")),
                };
                let name = match next.name {
                    Some(name) => name,
                    None => header.name()?,
                };
                visit.entry(&name, kind, size)?;
                let held = std::mem::take(&mut self.held);
                if !held.is_empty() {
                    visit.blocks(&held)?;
                }
                visit.blocks(block)?;
                self.go_on(size, visit)
            }
        }
    }

    fn go_on(&mut self, left: u64, visit: &mut dyn Visit) -> Result<(), Fault> {
        if left > 0 {
            self.state = State::Content(left);
            return Ok(());
        }
        self.state = State::Header;
        visit.ended()
    }
}

/// Bytes of the content that are in this block, and those that come later.
fn within(left: u64) -> (usize, u64) {
    match usize::try_from(left) {
        Ok(all) if all <= BLOCK => (all, 0),
        _ => (BLOCK, left - BLOCK as u64),
    }
}

struct Header<'a>(&'a [u8]);

impl Header<'_> {
    /// The checksum: the sum of all bytes, its own field read as blanks.
    fn check(&self) -> Result<(), Fault> {
        let sum: u64 = self
            .0
            .iter()
            .enumerate()
            .map(|(at, byte)| {
                u64::from(if (148..156).contains(&at) {
                    b' '
                } else {
                    *byte
                })
            })
            .sum();
        if octal(&self.0[148..156]) == Some(sum) {
            Ok(())
        } else {
            Err(Fault::new("it is no tar archive, or damaged"))
        }
    }

    fn kind(&self) -> u8 {
        self.0[156]
    }

    fn size(&self) -> Result<u64, Fault> {
        octal(&self.0[124..136]).ok_or_else(|| Fault::new("an entry has no readable size"))
    }

    fn name(&self) -> Result<String, Fault> {
        let name = text(&self.0[..100]);
        let ustar = &self.0[257..262] == b"ustar";
        let prefix = if ustar { text(&self.0[345..500]) } else { &[] };
        let whole = if prefix.is_empty() {
            name.to_vec()
        } else {
            [prefix, b"/", name].concat()
        };
        utf8(whole)
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String, Fault> {
    String::from_utf8(bytes).map_err(|_| Fault::new("an entry's name is not UTF-8"))
}

fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0);
    &field[..end.unwrap_or(field.len())]
}

/// A number in octal digits, or (sizes of 8 GiB and more) in base 256.
fn octal(field: &[u8]) -> Option<u64> {
    if field.first().is_some_and(|byte| byte & 0x80 != 0) {
        let (zeros, number) = field[1..].split_at(field.len() - 9);
        let number: [u8; 8] = number.try_into().ok()?;
        let fits = field[0] == 0x80 && zeros.iter().all(|byte| *byte == 0);
        return fits.then_some(u64::from_be_bytes(number));
    }
    let digits = std::str::from_utf8(field).ok()?;
    let digits = digits.trim_matches([' ', '\0']);
    if digits.is_empty() {
        return None;
    }
    u64::from_str_radix(digits, 8).ok()
}

/// What a record says of the next entry. PAX records may say other things too.
fn next_in(record: &[u8], pax: bool) -> Result<Next, Fault> {
    let mut next = Next::default();
    if !pax {
        next.name = Some(utf8(text(record).to_vec())?);
        return Ok(next);
    }
    let mut rest = record;
    while !rest.is_empty() {
        let blank = rest.iter().position(|byte| *byte == b' ');
        let blank = blank.ok_or_else(no_pax)?;
        let length = usize::try_from(decimal(&rest[..blank]).ok_or_else(no_pax)?);
        let length = length.map_err(|_| no_pax())?;
        if length <= blank + 1 || length > rest.len() || rest[length - 1] != b'\n' {
            return Err(no_pax());
        }
        let line = &rest[blank + 1..length - 1];
        let equals = line.iter().position(|byte| *byte == b'=');
        let (key, value) = line.split_at(equals.ok_or_else(no_pax)?);
        match key {
            b"path" => next.name = Some(utf8(value[1..].to_vec())?),
            b"size" => next.size = Some(decimal(&value[1..]).ok_or_else(no_pax)?),
            b"linkpath" => return Err(no_pax()),
            key if key.starts_with(b"GNU.sparse") => return Err(no_pax()),
            _ => {}
        }
        rest = &rest[length..];
    }
    Ok(next)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    // A sign is none of PAX.
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

fn no_pax() -> Fault {
    Fault::new("a PAX record of it can't be read, or says what is not taken here")
}
