//! What must not be found, in whatever form it could have been written.

use super::gate::Recording;
use base64::prelude::{BASE64_STANDARD, Engine as _};

/// Secrets by name, each as the texts that it could stand as.
#[derive(Default)]
pub struct Secrets(Vec<(String, Vec<String>)>);

impl Secrets {
    /// A secret that is text or bytes: as it is (each byte a character, as [`Recording::text`] has it), as base64, as hex digits, and as Rust shows bytes.
    pub fn add(&mut self, name: &str, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        let numbers: Vec<String> = secret.iter().map(u8::to_string).collect();
        let mut forms = vec![BASE64_STANDARD.encode(secret).trim_end_matches('=').to_owned(), hex, numbers.join(", ")];
        forms.push(secret.iter().map(|byte| char::from(*byte)).collect());
        self.0.push((name.to_owned(), forms));
    }

    /// A secret that is written as base64.
    pub fn add_base64(&mut self, name: &str, secret: &str) {
        let raw = BASE64_STANDARD.decode(secret).unwrap_or_else(|e| panic!("{name}: {e}"));
        self.add(name, raw);
    }

    /// The lines of a PEM file.
    pub fn add_pem(&mut self, name: &str, pem: &str) {
        for line in pem.lines().filter(|line| !line.starts_with('-')) {
            self.add_base64(name, line);
        }
    }

    /// The keys of a users file; the salts are nobody's secret: whoever begins a login is told them.
    #[track_caller]
    pub fn add_users(&mut self, file: &str) {
        let before = self.0.len();
        for field in ["stored_key", "server_key"] {
            for part in file.split(&format!("{field}: ")).skip(1) {
                let value: String =
                    part.chars().skip_while(|c| *c == '"').take_while(|c| !"\",} \n".contains(*c)).collect();
                self.add_base64(field, &value);
            }
        }
        assert!(self.0.len() >= before + 4, "the keys of both forms of SCRAM");
    }

    /// Fails if one of them passed.
    #[track_caller]
    pub fn assert_unseen(&self, place: &str, seen: &Recording) {
        self.assert_absent(place, &seen.text());
    }

    /// Fails if one of them stands in a text.
    #[track_caller]
    pub fn assert_absent(&self, place: &str, text: &str) {
        for (name, forms) in &self.0 {
            for form in forms {
                if let Some(at) = text.find(form.as_str()) {
                    let before: Vec<char> = text[..at].chars().rev().take(200).collect();
                    let before = before.into_iter().rev().collect::<String>();
                    panic!("{name} stands in {place}, as {form:?}, behind {before:?}");
                }
            }
        }
    }
}
