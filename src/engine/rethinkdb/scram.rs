//! SCRAM-SHA-256 (RFC 7677), the client's side, as RethinkDB's handshake `V1_0` asks for it. Pure.
//!
//! Vendor source: `rethinkdb/handshake.py` of the Python driver, `src/client_protocol` of the server.

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::{ExposeSecret, SecretString};

/// More rounds than any server asks for: a hostile one could keep the client busy for ever.
const MOST_ROUNDS: u32 = 1_000_000;

/// What is wrong with a server's message.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum ScramError {
    /// It is not as the RFC says.
    #[error("its part of the login is not as SCRAM-SHA-256 says: {0}")]
    Malformed(&'static str),
    /// It does not know the password either.
    #[error("it could not prove that it knows the password")]
    Impostor,
}

/// A login that was begun.
pub(super) struct Scram {
    nonce: String,
    first_bare: String,
}

/// A login that waits for the server's proof.
pub(super) struct Proof {
    server_signature: hmac::Tag,
}

impl Scram {
    /// Begins a login. `nonce` is random, of printable characters without a comma.
    pub(super) fn new(user: &str, nonce: String) -> Self {
        let user = user.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={user},r={nonce}");
        Self { nonce, first_bare }
    }

    /// The first message.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// The second message, in answer to the server's first.
    pub(super) fn answer(
        &self,
        server_first: &str,
        password: &SecretString,
    ) -> Result<(String, Proof), ScramError> {
        use ScramError::Malformed;
        let nonce = field(server_first, 'r').ok_or(Malformed("no nonce"))?;
        if !nonce.starts_with(&self.nonce) || nonce.len() <= self.nonce.len() {
            return Err(Malformed("the nonce is not built on ours"));
        }
        let salt = field(server_first, 's')
            .and_then(|salt| BASE64_STANDARD.decode(salt).ok())
            .ok_or(Malformed("no salt"))?;
        let rounds = field(server_first, 'i')
            .and_then(|rounds| rounds.parse().ok())
            .and_then(NonZeroU32::new)
            .filter(|rounds| rounds.get() <= MOST_ROUNDS)
            .ok_or(Malformed("no number of rounds, or too many"))?;

        let mut salted = [0u8; digest::SHA256_OUTPUT_LEN];
        let password = password.expose_secret().as_bytes();
        let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
        pbkdf2::derive(algorithm, rounds, &salt, password, &mut salted);
        let client_key = sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        // "biws" is "n,," in Base64: no channel binding.
        let final_bare = format!("c=biws,r={nonce}");
        let message = format!("{},{server_first},{final_bare}", self.first_bare);
        let signature = sign(stored_key.as_ref(), message.as_bytes());
        let proof: Vec<u8> = client_key
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(key, sign)| key ^ sign)
            .collect();
        let server_key = sign(&salted, b"Server Key");
        let server_signature = sign(server_key.as_ref(), message.as_bytes());
        let answer = format!("{final_bare},p={}", BASE64_STANDARD.encode(proof));
        Ok((answer, Proof { server_signature }))
    }
}

impl Proof {
    /// Whether the server proved that it knows the password.
    pub(super) fn check(&self, server_final: &str) -> Result<(), ScramError> {
        let signature = field(server_final, 'v')
            .and_then(|text| BASE64_STANDARD.decode(text).ok())
            .ok_or(ScramError::Malformed("no signature"))?;
        constant_time::verify_slices_are_equal(&signature, self.server_signature.as_ref())
            .map_err(|_| ScramError::Impostor)
    }
}

fn sign(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}

fn field(message: &str, name: char) -> Option<&str> {
    message.split(',').find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.chars().eq([name]).then_some(value)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The example of RFC 7677, section 3.
    #[test]
    fn the_rfcs_example() {
        let scram = Scram::new("user", "rOprNGfwEbeRWgbNEkqO".into());
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (answer, proof) = scram.answer(server, &"pencil".into()).unwrap();
        assert_eq!(
            answer,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        proof
            .check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
            .unwrap();
        assert_eq!(
            proof.check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5="),
            Err(ScramError::Malformed("no signature"))
        );
        assert_eq!(
            proof.check("v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
            Err(ScramError::Impostor)
        );
    }

    /// A login of the vendor's tool at a real server, with an empty password.
    #[test]
    fn a_recorded_login() {
        let scram = Scram::new("admin", "AYIrSKgNb3YKBvCqmH+/x8Gh".into());
        let server =
            "r=AYIrSKgNb3YKBvCqmH+/x8GhrsWmFPYos2gSp1apd2Dw,s=nUZqPVeso0JSmJNIJp49yg==,i=1";
        let (answer, proof) = scram.answer(server, &"".into()).unwrap();
        assert!(
            answer.ends_with("p=avNUMtNZAoC1rb4of/yDlM88e/rhhmzj1YHV0ViUA+k="),
            "{answer}"
        );
        proof
            .check("v=taShz5TgWG+IL9szx6ZEQ7sY6adGGcvg9QjUj4QpIic=")
            .unwrap();
    }

    #[test]
    fn hostile_servers() {
        let scram = Scram::new("a=b,c", "abc".into());
        assert_eq!(scram.first(), "n,,n=a=3Db=2Cc,r=abc");
        for message in [
            "",
            "r=abc,s=AAAA,i=1",
            "r=xyz123,s=AAAA,i=1",
            "r=abcd,s=*,i=1",
            "r=abcd,s=AAAA",
            "r=abcd,s=AAAA,i=0",
            "r=abcd,s=AAAA,i=4000000000",
            "r=abcd,s=AAAA,i=-1",
        ] {
            assert!(scram.answer(message, &"".into()).is_err(), "{message}");
        }
    }
}
