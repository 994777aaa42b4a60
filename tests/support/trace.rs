//! Traces of programs, as text: masked in one place, compared, their differences told.

use kordon::wire::ErrorCode;

/// Replaces what no two clusters have in common: addresses, ids drawn by chance, directories, and the
/// [dumps](without_dumps).
pub fn mask(line: &str) -> String {
    let text = without_dumps(line);
    let text = words(&text, |c| c.is_ascii_hexdigit() || c == '-', |word| uuid_len(word).then_some("<uuid>"));
    let text = words(
        &text,
        |c| !c.is_whitespace() && !",;()[]{}\"'=".contains(c),
        |word| {
            if word.starts_with('/') && word.contains("/test-run/") {
                return Some("<directory>");
            }
            if drawn(word) {
                return Some("<id>");
            }
            if word.starts_with("sasl_plaintext://127.0.0.1:") {
                return Some("<address>"); // and by which name the client knows it
            }
            let port = word.trim_start_matches('/').strip_prefix("127.0.0.1:")?;
            port.trim_end_matches('.').chars().all(|c| c.is_ascii_digit()).then_some("<address>")
        },
    );
    // how long librdkafka tried
    let begin = text.find("(after ").filter(|at| text[*at..].contains("ms)"));
    begin.map_or(text.clone(), |at| text[..at].to_owned())
}

/// Replaces the text of a cluster check that throws, which in Kafka is a dump of its request object (kafka-authorization
/// 1.0.4, 1.0.9), by the error's own.
pub fn without_dumps(text: &str) -> String {
    const DUMP: (&str, &str) = ("Request Request(processor=", " permission.");
    let mut text = text.to_owned();
    while let Some(start) = text.find(DUMP.0) {
        let Some(length) = text[start..].find(DUMP.1) else { break };
        text.replace_range(start..start + length + DUMP.1.len(), ErrorCode::CLUSTER_AUTHORIZATION_FAILED.message());
    }
    text
}

/// A UUID as Java writes it.
fn uuid_len(word: &str) -> bool {
    let parts: Vec<usize> = word.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12]
}

/// An id as Kafka draws and writes it: 22 characters of Base64.
fn drawn(word: &str) -> bool {
    let told = word.chars().filter(|c| c.is_ascii_uppercase() || c.is_ascii_digit()).count();
    // names are written in lower case, classes in words
    word.len() == 22 && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') && told > 4
}

/// Replaces words, which are the longest runs of characters that are `of` a word.
fn words(text: &str, of: impl Fn(char) -> bool, by: impl Fn(&str) -> Option<&'static str>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let begin = rest.find(&of).unwrap_or(rest.len());
        out.push_str(&rest[..begin]);
        rest = &rest[begin..];
        let end = rest.find(|c| !of(c)).unwrap_or(rest.len());
        let word = &rest[..end];
        // an id may follow a name and a dash
        let tail = word.char_indices().rev().nth(35).map_or(0, |(at, _)| at);
        match (by(word), by(&word[tail..])) {
            (Some(name), _) => out.push_str(name),
            (None, Some(name)) => {
                out.push_str(&word[..tail]);
                out.push_str(name);
            }
            (None, None) => out.push_str(word),
        }
        rest = &rest[end..];
    }
    out
}

/// A place where two traces differ: the lines of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Of the reference.
    pub theirs: Vec<String>,
    /// Through the proxy.
    pub ours: Vec<String>,
}

/// Where two traces differ: the longest common subsequence of lines is what they have in common.
pub fn compare(theirs: &[String], ours: &[String]) -> Vec<Difference> {
    let (n, m) = (theirs.len(), ours.len());
    let mut longest = vec![vec![0_u32; m + 1]; n + 1];
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            longest[i][j] =
                if theirs[i] == ours[j] { longest[i + 1][j + 1] + 1 } else { longest[i + 1][j].max(longest[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    let mut open = Difference { theirs: Vec::new(), ours: Vec::new() };
    while i < n || j < m {
        if i < n && j < m && theirs[i] == ours[j] {
            if !open.theirs.is_empty() || !open.ours.is_empty() {
                out.push(std::mem::replace(&mut open, Difference { theirs: Vec::new(), ours: Vec::new() }));
            }
            (i, j) = (i + 1, j + 1);
        } else if j == m || (i < n && longest[i + 1][j] >= longest[i][j + 1]) {
            open.theirs.push(theirs[i].clone());
            i += 1;
        } else {
            open.ours.push(ours[j].clone());
            j += 1;
        }
    }
    if !open.theirs.is_empty() || !open.ours.is_empty() {
        out.push(open);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_ids_and_dumps_are_masked_and_nothing_else() {
        for (text, masked) in [
            ("Connection to 127.0.0.1:20001 lost", "Connection to <address> lost"),
            ("localhost/127.0.0.1:20001.", "localhost/127.0.0.1:20001."),
            ("member program-0b6f2a4e-1111-2222-3333-444455556666 is", "member program-<uuid> is"),
            ("x-0b6f2a4e-1111-2222-3333-44445555666 is", "x-0b6f2a4e-1111-2222-3333-44445555666 is"),
            (
                "C: Request Request(processor=1, x=[]) needs ALTER permission. Sorry",
                "C: Cluster authorization failed. Sorry",
            ),
            ("dir=/a/b/test-run/7/c, x", "dir=<directory>, x"),
        ] {
            assert_eq!(mask(text), masked);
        }
    }

    #[test]
    fn what_two_traces_have_in_common_is_no_difference() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(compare(&lines("a b c"), &lines("a b c")), []);
        let found = compare(&lines("a b c d"), &lines("a x c d e"));
        assert_eq!(found.len(), 2);
        assert_eq!((&found[0].theirs, &found[0].ours), (&lines("b"), &lines("x")));
        assert_eq!((found[1].theirs.len(), &found[1].ours), (0, &lines("e")));
    }
}
