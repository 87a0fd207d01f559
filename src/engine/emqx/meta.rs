//! Versions and editions: what made an archive, and what may import it.

use serde_json::Value;

use super::hocon;

/// The first version whose REST API exports and imports.
pub(super) const FIRST: Version = Version(5, 4);
/// The first version whose export takes a choice of tables and of configuration roots.
pub(super) const FIRST_CHOICE: Version = Version(5, 9);

/// Major and minor of a version: what decides who may import what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32);

impl Version {
    /// Reads `5.4.1`, `5.4.1-rc.1` or `5.4`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim_start_matches(['v', 'e']).split(['.', '-', '+']);
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next()?.parse().ok()?;
        Some(Self(major, minor))
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// An edition. Open source can't import what Enterprise exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edition {
    /// Open source: `ce` in an archive, `Opensource` in `/nodes`.
    Community,
    /// Enterprise: `ee`, `Enterprise`.
    Enterprise,
}

impl Edition {
    /// By an archive's word or a node's.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "ce" | "opensource" => Some(Self::Community),
            "ee" | "enterprise" | "platform" => Some(Self::Enterprise),
            _ => None,
        }
    }

    /// As an archive writes it.
    pub(super) fn short(self) -> &'static str {
        match self {
            Self::Community => "ce",
            Self::Enterprise => "ee",
        }
    }
}

/// What `META.hocon` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    /// The version that exported.
    pub(super) version: String,
    /// Its edition.
    pub(super) edition: Edition,
}

impl Meta {
    /// Reads `META.hocon`. The error says what is wrong with the archive.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let meta = hocon::parse(text).ok_or("its META.hocon can't be read")?;
        let word = |key: &str| meta.get(key).and_then(Value::as_str).unwrap_or_default();
        Self::new(word("version"), word("edition"))
            .ok_or_else(|| "its META.hocon names no version or edition of EMQX".to_owned())
    }

    /// Of a version and an edition in an archive's words.
    pub(super) fn new(version: &str, edition: &str) -> Option<Self> {
        Version::parse(version).filter(|_| version.len() <= 64)?;
        Some(Self {
            version: version.to_owned(),
            edition: Edition::parse(edition)?,
        })
    }

    /// Why a node of this version and edition would refuse the archive; none where it takes it.
    pub(super) fn refused_by(&self, version: &str, edition: Edition) -> Option<String> {
        let (Some(own), Some(theirs)) = (Version::parse(&self.version), Version::parse(version))
        else {
            return Some(format!(
                "the version {version:?} of the target can't be read"
            ));
        };
        if self.edition == Edition::Enterprise && edition == Edition::Community {
            return Some(
                "the backup was made by EMQX Enterprise, and open source EMQX does not import it: restore into Enterprise".to_owned(),
            );
        }
        if own > theirs {
            return Some(format!(
                "the backup was made by EMQX {}, which is newer than the target's {version}: EMQX imports no newer archive, so upgrade the target first",
                self.version
            ));
        }
        None
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_what() {
        use Edition::{Community, Enterprise};
        let cases = [
            ("5.4.1", "ce", "5.4.1", Community, None),
            ("5.4.1", "ce", "5.4.0", Community, None),
            ("5.4.1", "ce", "6.0.0", Enterprise, None),
            ("5.4.1", "ee", "5.4.1", Enterprise, None),
            (
                "5.9.0",
                "ce",
                "5.4.1",
                Community,
                Some("newer than the target's 5.4.1"),
            ),
            ("6.0.0", "ce", "5.10.1", Community, Some("newer")),
            (
                "5.4.1",
                "ee",
                "5.4.1",
                Community,
                Some("open source EMQX does not import it"),
            ),
            ("5.4.1", "ce", "?", Community, Some("can't be read")),
        ];
        for (version, edition, target, target_edition, expected) in cases {
            let meta = Meta::new(version, edition).unwrap();
            let refused = meta.refused_by(target, target_edition);
            match expected {
                None => assert_eq!(refused, None, "{version} {target}"),
                Some(part) => assert!(refused.unwrap().contains(part), "{version} {target}"),
            }
        }
    }

    #[test]
    fn versions() {
        for (text, expected) in [
            ("5.4.1", Some(Version(5, 4))),
            ("5.10", Some(Version(5, 10))),
            ("v6.0.0-rc.1", Some(Version(6, 0))),
            ("e5.8.0", Some(Version(5, 8))),
            ("5", None),
            ("", None),
            ("five.4", None),
        ] {
            assert_eq!(Version::parse(text), expected, "{text}");
        }
        assert!(Version(5, 10) > Version(5, 9) && Version(6, 0) > Version(5, 10));
    }

    #[test]
    fn meta_of_an_archive() {
        let meta = Meta::parse("edition = ce\nversion = \"5.4.1\"\n").unwrap();
        assert_eq!(meta, Meta::new("5.4.1", "ce").unwrap());
        for text in [
            "",
            "edition = ce",
            "edition = xx\nversion = \"5.4.1\"",
            "version = 5.4.1\n{{",
        ] {
            assert!(Meta::parse(text).is_err(), "{text:?}");
        }
    }
}
