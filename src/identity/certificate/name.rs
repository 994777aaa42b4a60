//! A distinguished name as Java's `X500Principal.getName()` writes it (RFC 2253): what Kafka calls the client.
//! Source: `X500Name.generateRFC2253DN` and `AVA.toRFC2253String`, OpenJDK 17.

use super::der::{Malformed, OID, Reader, SEQUENCE, SET, dotted};

/// One attribute: `CN=alice`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Attribute {
    /// With dots.
    oid: String,
    /// Its text, if it is one; else what DER it has.
    value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    Der(Vec<u8>),
}

/// A distinguished name, in the order of the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(Vec<Vec<Attribute>>);

/// Why a name cannot be one of a principal.
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The bytes are no name.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Bytes that are no UTF-8: Java replaces them, and different names would become one.
    #[error("its subject holds bytes that are no UTF-8")]
    NotText,
}

/// The attributes that RFC 2253 has words for; all others are written as numbers.
const WORDS: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// `UTF8String`, `PrintableString`, `TeletexString`, `IA5String`, `GeneralString`: Java reads all of them as UTF-8.
const TEXTS: [u8; 5] = [0x0c, 0x13, 0x14, 0x16, 0x1b];
/// `BMPString`: Java reads its bytes as UTF-8, which makes nonsense of it.
const BMP: u8 = 0x1e;

impl Name {
    /// Reads the elements of a name's sequence.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, NameError> {
        let mut parts = Vec::new();
        let mut reader = Reader(bytes);
        while !reader.is_empty() {
            let mut attributes = Vec::new();
            let mut set = Reader(reader.expect(SET)?.value);
            while !set.is_empty() {
                let mut pair = Reader(set.expect(SEQUENCE)?.value);
                let oid = dotted(pair.expect(OID)?.value)?;
                let element = pair.next()?;
                // What is no word is shown as its DER, whatever it is.
                let value = match element.tag {
                    _ if word(&oid).is_none() => Value::Der(element.whole.to_owned()),
                    BMP => return Err(NameError::NotText),
                    tag if TEXTS.contains(&tag) => {
                        let text = std::str::from_utf8(element.value).map_err(|_| NameError::NotText)?;
                        Value::Text(text.to_owned())
                    }
                    _ => Value::Der(element.whole.to_owned()),
                };
                attributes.push(Attribute { oid, value });
            }
            parts.push(attributes);
        }
        Ok(Self(parts))
    }

    /// Whether it names nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As Java writes it: the last part first, parts with commas and without spaces.
    pub fn rfc2253(&self) -> String {
        let part = |attributes: &Vec<Attribute>| attributes.iter().map(write).collect::<Vec<_>>().join("+");
        self.0.iter().rev().map(part).collect::<Vec<_>>().join(",")
    }

    /// The values of an attribute, by its word (`OU`), in the order of the certificate.
    pub fn values(&self, attribute: &str) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().filter_map(move |found| match &found.value {
            Value::Text(text) if word(&found.oid) == Some(attribute) => Some(text.as_str()),
            Value::Text(_) | Value::Der(_) => None,
        })
    }
}

fn word(oid: &str) -> Option<&'static str> {
    WORDS.iter().find(|(number, _)| *number == oid).map(|(_, word)| *word)
}

fn write(attribute: &Attribute) -> String {
    let kind = word(&attribute.oid).unwrap_or(&attribute.oid);
    match &attribute.value {
        Value::Text(text) => format!("{kind}={}", escaped(text)),
        Value::Der(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{kind}=#{hex}")
        }
    }
}

fn escaped(text: &str) -> String {
    let mut chars: Vec<char> = Vec::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ',' | '=' | '+' | '<' | '>' | '#' | ';' | '"' | '\\' => chars.extend(['\\', c]),
            '\0' => chars.extend(['\\', '0', '0']),
            c => chars.push(c),
        }
    }
    let blank = |c: &char| matches!(c, ' ' | '\r');
    let lead = chars.iter().take_while(|c| blank(c)).count();
    let trail = chars.len() - chars.iter().rev().take_while(|c| blank(c)).count();
    let mut written = String::with_capacity(chars.len());
    for (i, c) in chars.into_iter().enumerate() {
        if i < lead || i >= trail {
            written.push('\\');
        }
        written.push(c);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    /// Names as DER, and what Java 17 says of them (`new X500Principal(der).getName()`).
    const JAVA: &[(&str, &str)] = &[
        ("300e310c300a06035504030c03782079", "CN=x y"),
        ("300e310c300a06035504060c03782079", "C=x y"),
        ("300e310c300a06035504070c03782079", "L=x y"),
        ("300e310c300a06035504080c03782079", "ST=x y"),
        ("300e310c300a060355040a0c03782079", "O=x y"),
        ("300e310c300a060355040b0c03782079", "OU=x y"),
        ("300e310c300a06035504090c03782079", "STREET=x y"),
        ("301531133011060a0992268993f22c6401190c03782079", "DC=x y"),
        ("301531133011060a0992268993f22c6401010c03782079", "UID=x y"),
        ("30143112301006092a864886f70d0109010c03782079", "1.2.840.113549.1.9.1=#0c03782079"),
        ("300e310c300a06035504050c03782079", "2.5.4.5=#0c03782079"),
        ("3010310e300c06035504030c054ac3b67267", "CN=Jörg"),
        ("3010310e300c060355040313054ac3b67267", "CN=Jörg"),
        ("3010310e300c060355040314054ac3b67267", "CN=Jörg"),
        ("3010310e300c060355040316054ac3b67267", "CN=Jörg"),
        ("3010310e300c06035504031b054ac3b67267", "CN=Jörg"),
        ("300e310c300a06035504031203616263", "CN=#1203616263"),
        ("30133111300f06035504031c080000004a000000f6", "CN=#1c080000004a000000f6"),
        (
            "301e311c301a06035504030c13612c623d632b643c653e6623673b6822695c6a",
            "CN=a\\,b\\=c\\+d\\<e\\>f\\#g\\;h\\\"i\\\\j",
        ),
        ("3010310e300c06035504030c05206c656164", "CN=\\ lead"),
        ("3011310f300d06035504030c06747261696c20", "CN=trail\\ "),
        ("30123110300e06035504030c07202074776f2020", "CN=\\ \\ two\\ \\ "),
        ("300c310a300806035504030c0120", "CN=\\ "),
        ("300e310c300a06035504030c030d780d", "CN=\\\rx\\\r"),
        ("300e310c300a06035504030c03610a62", "CN=a\nb"),
        ("300e310c300a06035504030c03610062", "CN=a\\00b"),
        ("300d310b300906035504030c022378", "CN=\\#x"),
        ("300b3109300706035504030c00", "CN="),
        ("30123110300e06035504030c07612f623a632a64", "CN=a/b:c*d"),
        ("300e310c300a06035504030c03c2a078", "CN=\u{a0}x"),
        ("30163114301206035504030c0bc384c3962ce697a5e69cac", "CN=ÄÖ\\,日本"),
        (
            "303131163009060355040b0c026f75300906035504030c02636e310a3008060355040a0c016f310b3009060355040613024445",
            "C=DE,O=o,OU=ou+CN=cn",
        ),
        ("3000", ""),
    ];

    #[test]
    fn names_are_written_as_java_writes_them() {
        for (der, told) in JAVA {
            let der = bytes(der);
            let name = Name::read(Reader(&der).expect(SEQUENCE).unwrap().value).unwrap();
            assert_eq!(name.rfc2253(), *told);
        }
    }

    #[test]
    fn names_that_java_would_garble_are_refused() {
        for garbled in ["300f310d300b060355040314044af67267", "30133111300f06035504031e08004a00f600720067"] {
            let der = bytes(garbled);
            assert_eq!(Name::read(Reader(&der).expect(SEQUENCE).unwrap().value), Err(NameError::NotText));
        }
    }

    #[test]
    fn the_values_of_an_attribute_are_found_by_its_word() {
        let der = bytes(
            "303131163009060355040b0c026f75300906035504030c02636e310a3008060355040a0c016f310b3009060355040613024445",
        );
        let name = Name::read(Reader(&der).expect(SEQUENCE).unwrap().value).unwrap();
        assert!(name.values("OU").eq(["ou"]) && name.values("O").eq(["o"]) && name.values("UID").eq([""; 0]));
    }
}
