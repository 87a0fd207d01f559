//! Databases with all that is hard about line protocol.

/// What a test database holds.
pub struct Database {
    pub name: String,
    /// Name, and the clauses of its statement.
    pub policies: Vec<(String, String)>,
    /// Retention policy, lines, how many points they make.
    pub writes: Vec<(String, Vec<u8>, u64)>,
}

/// Numbers that look random and are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from((self.roll() >> 11) % bound as u64).unwrap()
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

const NAMES: [&str; 27] = [
    "cpu",
    "a b",
    "a,b",
    "a=b",
    "a\"b",
    "it's",
    "back\\slash",
    "two\\\\slashes",
    "\\leading",
    "mid\\,comma",
    "tab\there",
    "üñï",
    "日本語",
    "🚀",
    "SELECT",
    "from",
    "time_",
    "_underscore",
    "a.b",
    "a/b",
    "/re.*/",
    "$x",
    "100%",
    "a;b",
    "--",
    "/*",
    "#hash",
];

const TEXTS: [&str; 18] = [
    "",
    " ",
    "plain",
    "with space",
    "a,b=c",
    "\"quoted\"",
    "back\\slash",
    "ends in \\",
    "\\\"",
    "\\\\",
    "line\nbreak",
    "\n",
    "\n# DML\nm v=1 1\n",
    "tab\t",
    "é日🚀",
    "cr\r\n",
    "null?",
    "'single'",
];

const FLOATS: [f64; 18] = [
    0.0,
    -0.0,
    1.0,
    -1.5,
    0.1,
    1e-5,
    9.999e-6,
    1e17,
    1e16,
    123_456_789.123_456_79,
    5e-324,
    2.225_073_858_507_201e-308,
    f64::MAX,
    f64::MIN,
    1e300,
    0.300_000_000_000_000_04,
    -1e-300,
    9_007_199_254_740_993.0,
];

const INTEGERS: [i64; 9] = [
    0,
    1,
    -1,
    i64::MAX,
    i64::MIN,
    9_007_199_254_740_993,
    -9_007_199_254_740_993,
    127,
    65_536,
];

const TIMES: [i64; 10] = [
    0,
    1,
    -1,
    i64::MIN + 2,
    i64::MAX - 1,
    1_700_000_000_000_000_000,
    1_700_000_000_000_000_001,
    -1_000_000_000_000_000_000,
    4_102_444_800_000_000_000,
    1_699_999_999_999_999_999,
];

fn escaped(text: &str, special: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

fn value(dice: &mut Dice, kind: usize) -> String {
    match kind {
        0 => format!("{:?}", FLOATS[dice.below(FLOATS.len())]),
        1 => format!("{}i", INTEGERS[dice.below(INTEGERS.len())]),
        2 => dice.pick(&["t", "f", "true", "FALSE"]).to_owned(),
        _ => format!("\"{}\"", escaped(dice.pick(&TEXTS), "\"\\")),
    }
}

/// A database of a seed: the same each time.
pub fn database(prefix: &str, seed: u64) -> Database {
    let mut dice = Dice(seed * 7919 + 17);
    dice.roll();
    let suffix = dice.pick(&["", " x", "\"q\"", "é", "-;", ".a"]);
    let name = format!("{prefix}{seed:03}{suffix}");
    let mut policies = Vec::new();
    for at in 0..dice.below(3) {
        let policy = dice.pick(&["weekly", "two words", "q\"uote", "é", "select", "1h"]);
        let clauses = dice.pick(&[
            "DURATION INF REPLICATION 1",
            "DURATION INF REPLICATION 1 SHARD DURATION 2h",
            "DURATION INF REPLICATION 2 DEFAULT",
        ]);
        policies.push((format!("{policy}{at}"), clauses.to_owned()));
    }
    let mut writes = Vec::new();
    let targets: Vec<String> = std::iter::once("autogen".to_owned())
        .chain(policies.iter().map(|(name, _)| name.clone()))
        .collect();
    for policy in targets {
        for _ in 0..=dice.below(4) {
            let (lines, points) = measurement(&mut dice);
            writes.push((policy.clone(), lines, points));
        }
    }
    Database {
        name,
        policies,
        writes,
    }
}

/// Points of one measurement. Names are made unique by a number, so no two writes meet.
fn measurement(dice: &mut Dice) -> (Vec<u8>, u64) {
    let number = dice.below(1_000_000_000);
    let mut base = dice.pick(&NAMES);
    if base.starts_with('#') || base.contains("\\,") {
        // A comment, and a name that the server takes and then can't find again.
        base = "no#hash first";
    }
    let name = escaped(&format!("{base}{number}"), ", ");
    let fields: Vec<(String, usize)> = (0..=dice.below(5))
        .map(|at| {
            // In a field's key `\\` takes the next byte with it, so these can't be said.
            let name = dice
                .pick(&NAMES)
                .replace("\\,", ",\\")
                .replace("\\ ", " \\");
            (escaped(&format!("{name}{at}"), ", =\""), dice.below(4))
        })
        .collect();
    let keys: Vec<String> = (0..dice.below(4))
        .map(|at| {
            // Now and then a tag has the name of a field.
            if at == 0 && dice.below(3) == 0 {
                fields[0].0.replace("\\\"", "\"")
            } else {
                escaped(&format!("{}t{at}", dice.pick(&NAMES)), ", =")
            }
        })
        .collect();
    let mut lines = Vec::new();
    let mut points = 0;
    for series in 0..=dice.below(6) {
        let mut head = name.clone();
        for key in &keys {
            // Sparse: a series may lack any tag.
            if dice.below(4) > 0 {
                let tag = escaped(&format!("{}{series}", dice.pick(&NAMES)), ", =");
                head = format!("{head},{key}={tag}");
            }
        }
        head = format!("{head},series=s{series}");
        let mut times: Vec<i64> = TIMES.to_vec();
        for _ in 0..=dice.below(TIMES.len() - 1) {
            let time = times.swap_remove(dice.below(times.len()));
            let mut some: Vec<String> = Vec::new();
            for (key, kind) in &fields {
                if dice.below(3) > 0 {
                    some.push(format!("{key}={}", value(dice, *kind)));
                }
            }
            if some.is_empty() {
                some.push(format!("{}={}", fields[0].0, value(dice, fields[0].1)));
            }
            lines.extend_from_slice(format!("{head} {} {time}\n", some.join(",")).as_bytes());
            points += 1;
        }
    }
    (lines, points)
}
