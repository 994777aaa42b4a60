//! Mapping rules with the syntax and the results of Kafka's `ssl.principal.mapping.rules`.
//! Source: `org.apache.kafka.common.security.ssl.SslPrincipalMapper`, Kafka 4.3; `java.util.regex.Matcher.replaceAll`.
//!
//! Regular expressions are those that Java and Rust read alike. What Rust does not have (looking around, back references in
//! the pattern) or reads otherwise is refused when the rules are read, and a class such as `\w`, which here knows more letters
//! than in Java, does not judge names that are not ASCII.

use regex::Regex;

/// A rule.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    /// The name as it is.
    Default,
    /// What a pattern makes of it.
    Pattern(Box<Pattern>),
}

#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// Matches the whole name or not at all.
    whole: Regex,
    /// Found again and again, as `replaceAll` does.
    part: Regex,
    /// Whether it holds what differs from Java's beyond ASCII.
    ascii_only: bool,
    replacement: Vec<Piece>,
    case: Case,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
}

#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Case {
    Kept,
    Lower,
    Upper,
}

/// Why rules cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// No rule at all.
    #[error(
        "`{0}` is no rule: write `DEFAULT` or `RULE:pattern/replacement/`, with `L` or `U` behind it if need be, and a slash within as `\\/`, in single quotes"
    )]
    Syntax(String),
    /// A pattern that is none.
    #[error("the pattern `{0}` is no regular expression that is served: {1}")]
    Pattern(String, String),
    /// A pattern that Java and Rust read in two ways.
    #[error("the pattern `{0}` holds `{1}`, which is not served: write it without")]
    Unlike(String, &'static str),
    /// A replacement that Java would refuse when it is used.
    #[error(
        "the replacement `{0}` names a group that its pattern does not have, or ends in the middle: write `$1`, `\\$` for a dollar sign"
    )]
    Replacement(String),
}

/// The rules of a text, as Kafka splits it at commas; empty ones are left out.
pub(super) fn parse(text: &str) -> Result<Vec<Rule>, RuleError> {
    let (mut rules, mut rest) = (Vec::new(), text.trim());
    let wrong = || RuleError::Syntax(text.to_owned());
    while !rest.is_empty() {
        let after = if let Some(after) = rest.strip_prefix("DEFAULT") {
            rules.push(Rule::Default);
            after
        } else if let Some(after) = rest.strip_prefix("RULE:") {
            let (pattern, after) = until_slash(after).ok_or_else(wrong)?;
            let (replacement, after) = until_slash(after).ok_or_else(wrong)?;
            let (case, after) = match after.strip_prefix('L') {
                Some(after) => (Case::Lower, after),
                None => after.strip_prefix('U').map_or((Case::Kept, after), |after| (Case::Upper, after)),
            };
            rules.push(Rule::Pattern(Box::new(Pattern::new(pattern, replacement, case)?)));
            after
        } else {
            rest
        };
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.is_empty() => {}
            None => return Err(wrong()),
        }
    }
    Ok(rules)
}

/// What stands before a slash that no backslash stands before.
fn until_slash(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '/' if !escaped => return Some((text.get(..at)?, text.get(at + 1..)?)),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

impl Rule {
    /// What the rule makes of a name; `None`: it does not apply.
    pub(super) fn apply(&self, name: &str) -> Option<String> {
        match self {
            Self::Default => Some(name.to_owned()),
            Self::Pattern(pattern) => pattern.apply(name),
        }
    }
}

impl Pattern {
    fn new(text: &str, replacement: &str, case: Case) -> Result<Self, RuleError> {
        let ascii_only = look(text)?;
        let refused = |error: regex::Error| {
            let words = error.to_string();
            let last = words.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            RuleError::Pattern(text.to_owned(), last)
        };
        let part = Regex::new(text).map_err(refused)?;
        let whole = Regex::new(&format!(r"\A(?:{text})\z")).map_err(refused)?;
        let groups = part.captures_len() - 1;
        let replacement = pieces(replacement, groups).ok_or_else(|| RuleError::Replacement(replacement.to_owned()))?;
        Ok(Self { whole, part, ascii_only, replacement, case })
    }

    fn apply(&self, name: &str) -> Option<String> {
        if (self.ascii_only && !name.is_ascii()) || !self.whole.is_match(name) {
            return None;
        }
        let mut made = String::new();
        let (mut copied, mut from) = (0, 0);
        // Java finds an empty match also where the one before ended.
        while let Some(found) = (from <= name.len()).then(|| self.part.captures_at(name, from)).flatten() {
            let Some(all) = found.get(0) else { break };
            made.push_str(name.get(copied..all.start()).unwrap_or_default());
            for piece in &self.replacement {
                match piece {
                    Piece::Text(text) => made.push_str(text),
                    Piece::Group(group) => made.push_str(found.get(*group).map_or("", |group| group.as_str())),
                }
            }
            copied = all.end();
            let next = name.get(all.end()..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
            from = if all.is_empty() { all.end() + next } else { all.end() };
        }
        made.push_str(name.get(copied..).unwrap_or_default());
        Some(match self.case {
            Case::Kept => made,
            Case::Lower => made.to_lowercase(),
            Case::Upper => made.to_uppercase(),
        })
    }
}

/// Whether a quantifier can stand at a place of a pattern.
#[derive(Copy, Clone, PartialEq, Eq)]
enum Behind {
    /// Something to be repeated, or the begin of the pattern, which is for the parser to refuse.
    Atom,
    /// A quantifier, which a `?` may make lazy.
    Quantifier,
    /// A lazy one.
    Lazy,
}

/// Refuses what Java and Rust read in two ways; whether there is something that they read alike in ASCII only.
fn look(text: &str) -> Result<bool, RuleError> {
    let unlike = |what| RuleError::Unlike(text.to_owned(), what);
    let mut ascii_only = false;
    let mut behind = Behind::Atom;
    // How many classes are open, and whether the innermost has nothing in it yet: a bracket that closes is then one of it.
    let (mut classes, mut fresh) = (0_usize, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        let before = std::mem::replace(&mut behind, Behind::Atom);
        let begins = std::mem::replace(&mut fresh, false);
        rest = match c {
            '\\' => {
                let escaped = after.chars().next();
                match escaped {
                    Some('w' | 'W' | 'd' | 'D' | 's' | 'S' | 'b' | 'B') => ascii_only = true,
                    Some('p' | 'P') => return Err(unlike("\\p")),
                    Some('<' | '>') => return Err(unlike("\\< or \\>")),
                    // One character here, any of several there.
                    Some('v') => return Err(unlike("\\v")),
                    Some('A' | 'z' | 'Z' | 'x' | 'u' | 'U' | 'Q' | 'E') => {
                        return Err(unlike("\\A, \\z, \\x, \\u or \\Q"));
                    }
                    _ => {}
                }
                let rest = escaped.and_then(|c| after.get(c.len_utf8()..)).unwrap_or_default();
                if matches!(escaped, Some('b' | 'B')) && rest.starts_with('{') {
                    return Err(unlike("\\b{"));
                }
                rest
            }
            '[' if after.contains("[:") => return Err(unlike("[:")),
            '[' if after.contains("--") || after.contains("~~") => return Err(unlike("-- or ~~")),
            '[' => {
                (classes, fresh) = (classes + 1, true);
                after
            }
            '^' if begins => {
                fresh = true;
                after
            }
            ']' if !begins => {
                classes = classes.saturating_sub(1);
                after
            }
            _ if classes > 0 => after,
            '(' if after.starts_with("?:") => after.get(2..).unwrap_or_default(),
            '(' if after.starts_with("?i)") || after.starts_with("?i:") => {
                ascii_only = true;
                after.get(3..).unwrap_or_default()
            }
            '(' if after.starts_with('?') => return Err(unlike("(?")),
            '?' if before == Behind::Quantifier => {
                behind = Behind::Lazy;
                after
            }
            // Java gives nothing back of what such a quantifier took, or refuses it; here the repetition would be repeated.
            '*' | '+' | '?' | '{' if before != Behind::Atom => return Err(unlike("*+, ++, ?+, }+ or **")),
            '*' | '+' | '?' => {
                behind = Behind::Quantifier;
                after
            }
            '{' => {
                behind = Behind::Quantifier;
                behind_count(after).ok_or_else(|| unlike("{, without a number behind it"))?
            }
            _ => after,
        };
    }
    Ok(ascii_only)
}

/// What stands behind `n}`, `n,}` or `n,m}`, the counts that Java knows.
fn behind_count(text: &str) -> Option<&str> {
    let (count, rest) = text.split_once('}')?;
    let (least, most) = count.split_once(',').unwrap_or((count, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    (!least.is_empty() && digits(least) && digits(most)).then_some(rest)
}

/// A replacement as `Matcher.appendReplacement` reads it, after Kafka has taken references to groups that there are not for
/// text (`escapeLiteralBackReferences`), which it does where there is any group.
fn pieces(text: &str, groups: usize) -> Option<Vec<Piece>> {
    fn push(pieces: &mut Vec<Piece>, c: char) {
        match pieces.last_mut() {
            Some(Piece::Text(text)) => text.push(c),
            Some(Piece::Group(_)) | None => pieces.push(Piece::Text(c.into())),
        }
    }
    let mut pieces = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => push(&mut pieces, chars.next()?),
            '$' => {
                let first = chars.next_if(char::is_ascii_digit)?;
                let mut group = usize::try_from(first.to_digit(10)?).ok()?;
                if group > groups {
                    if groups == 0 {
                        return None;
                    }
                    // No such group: text, with all its digits.
                    push(&mut pieces, '$');
                    push(&mut pieces, first);
                    while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                        push(&mut pieces, digit);
                    }
                    continue;
                }
                // As many digits as still name a group.
                while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                    let longer = group * 10 + usize::try_from(digit).ok()?;
                    if longer > groups {
                        break;
                    }
                    group = longer;
                    chars.next();
                }
                pieces.push(Piece::Group(group));
            }
            c => push(&mut pieces, c),
        }
    }
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rules: &str, name: &str) -> Option<String> {
        parse(rules).unwrap().iter().find_map(|rule| rule.apply(name))
    }

    #[test]
    fn the_examples_of_kafkas_documentation_give_kafkas_results() {
        let rules = "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/, RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L, \
                     RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L, DEFAULT";
        for (name, told) in [
            ("CN=serviceuser,OU=ServiceUsers,O=Unknown,L=Unknown,ST=Unknown,C=Unknown", "serviceuser"),
            ("CN=adminUser,OU=Admin,O=Unknown,L=Unknown,ST=Unknown,C=Unknown", "adminuser@admin"),
            ("O=x,cN=Kafka.1,C=DE", "kafka.1"),
            ("OU=JavaSoft,O=Sun Microsystems,C=US", "OU=JavaSoft,O=Sun Microsystems,C=US"),
        ] {
            assert_eq!(map(rules, name).as_deref(), Some(told));
        }
    }

    #[test]
    fn the_cases_of_kafkas_tests_give_kafkas_results() {
        let rules = "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/, \
                     RULE:^CN=(.*?), OU=(.*?), O=(.*?), L=(.*?), ST=(.*?), C=(.*?)$/$1@$2/L, \
                     RULE:^cn=(.*?),ou=(.*?),dc=(.*?),dc=(.*?)$/$1@$2/U, RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/U, DEFAULT";
        for (name, told) in [
            ("CN=Duke,OU=ServiceUsers,O=Org,C=US", "Duke"),
            ("CN=Duke, OU=SME, O=mycp, L=Fulton, ST=MD, C=US", "duke@sme"),
            ("cn=duke,ou=sme,dc=mycp,dc=com", "DUKE@SME"),
            ("cN=duke,OU=JavaSoft,O=Sun Microsystems", "DUKE"),
            ("OU=JavaSoft,O=Sun Microsystems,C=US", "OU=JavaSoft,O=Sun Microsystems,C=US"),
        ] {
            assert_eq!(map(rules, name).as_deref(), Some(told));
        }
        let comma = r"RULE:^CN=((\\, *|\w)+)(,.*|$)/$1/,DEFAULT";
        assert_eq!(map(comma, r"CN=Tkac\, Adam,OU=ITZ,DC=geodis,DC=cz").as_deref(), Some(r"Tkac\, Adam"));
        assert_eq!(map("RULE:^CN=(.*?)$/$1/U", "O=nobody"), None, "no rule applies");
    }

    #[test]
    fn replacements_are_read_as_java_reads_them() {
        for (rule, name, told) in [
            // The pattern is found again at the end, where it matches nothing.
            ("RULE:.*/x/", "abc", "xx"),
            ("RULE:^.*$/x/", "abc", "x"),
            ("RULE:(.)b?/<$1>/", "abc", ""),
            (r"RULE:^(a)(.*)$/$2\/$1\$/", "abc", "bc/a$"),
            ("RULE:^(a)(.*)$/$0-$10-$3-$2/", "abc", "abc-a0-$3-bc"),
            ("RULE:^spiffe://x$/y/", "spiffe://x", ""),
        ] {
            match parse(rule) {
                Ok(rules) => {
                    let made = rules.iter().find_map(|rule| rule.apply(name)).unwrap_or_default();
                    assert_eq!(made, told, "{rule}");
                }
                Err(_) => assert_eq!(told, "", "{rule}"),
            }
        }
        let slashes = parse("RULE:^spiffe://x$/y/").unwrap_err().to_string();
        assert!(slashes.ends_with(r"and a slash within as `\/`, in single quotes"), "{slashes}");
        assert_eq!(
            map(r"RULE:^spiffe:\/\/example.com\/ns\/([^\/]+)\/sa\/(.*)$/$1.$2/", "spiffe://example.com/ns/a/sa/b")
                .as_deref(),
            Some("a.b")
        );
    }

    #[test]
    fn what_is_no_rule_or_is_read_in_two_ways_is_refused() {
        for wrong in [
            "RULE:",
            "RULE:a",
            "RULE:a/b",
            "RULE:a/b/X",
            "RULE:a/b/L extra",
            "DEFAULTX",
            "default",
            "RULE:a/$1/",
            "RULE:(a)/$/",
            "RULE:(a)/$x/",
            r"RULE:(a)/b\\\/",
            "RULE:(a/b/",
            r"RULE:(a)\1/b/",
            "RULE:a(?=b)/c/",
            "RULE:(?x)a/b/",
            r"RULE:\p{Lower}/b/",
            r"RULE:\<a\>/b/",
            "RULE:[[:alpha:]]/b/",
            r"RULE:a\Z/b/",
            // Possessive in Java.
            "RULE:^.*+b$/c/",
            "RULE:^(a|b)++b$/c/",
            "RULE:^a?+a$/c/",
            "RULE:^a{1,2}+a$/c/",
            "RULE:^[]+]*+$/c/",
            "RULE:^(?:a)*+$/c/",
            // Refused by Java.
            "RULE:a**/b/",
            "RULE:a*?+/b/",
            "RULE:a*??/b/",
            "RULE:a{2}{3}/b/",
            "RULE:a{,2}/b/",
            "RULE:a{ 2 }/b/",
            r"RULE:a\vb/c/",
            r"RULE:a[\v]b/c/",
            // Flags but `(?i)`.
            "RULE:(?s)a/b/",
            "RULE:(?i-s)a/b/",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        for right in [
            "RULE:^(.*?)(.+?)(.??)(a{1,2}?)(b{3})(c{4,})$/$1/",
            "RULE:^[*+?{,]*(?:a?)+(?i:b*)+$/x/",
            r"RULE:^[^]*+]+\++\*+[a[*+]]+$/x/",
            "RULE:(?i)^a+$/x/",
        ] {
            assert!(parse(right).is_ok(), "{right}: {:?}", parse(right));
        }
        assert!(parse("").unwrap().is_empty() && parse(" , ,").unwrap().is_empty());
    }

    #[test]
    fn a_class_that_knows_more_letters_here_than_in_java_judges_ascii_alone() {
        assert_eq!(map(r"RULE:^CN=(\w+)$/$1/", "CN=joerg").as_deref(), Some("joerg"));
        assert_eq!(map(r"RULE:^CN=(\w+)$/$1/", "CN=Jörg"), None);
        assert_eq!(map("RULE:^CN=(.+)$/$1/U", "CN=Jörg").as_deref(), Some("JÖRG"));
    }
}
