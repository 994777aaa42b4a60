//! `kordon apis --markdown`: the page of permissions, `docs/permissions.md`.

use super::{note, usable};
use crate::enforce::demands;
use crate::enforce::table::{Row, TABLE};
use crate::wire::api;
use std::io::{self, Write};

const HEAD: &str = "\
# Permissions: what each API asks for

<!-- Written by `kordon apis --markdown > docs/permissions.md`; tests/docs.rs compares. -->

What a client must be allowed for each request of Kafka's protocol, in the order in which it is asked, and what happens
without it. Everything that one request asks for is decided by one state of the policy; what is refused is refused in the
API's own form, and the rest of the request is served. A topic given by its id is asked about by its name. Virtual
operations (`OffsetsWrite`, `ClusterRead`, …) are explained in the [README](../README.md#operations).

The category is that of the audit event; a commit in the admin form is `group_write`. Requests of a category that ends in `_write`, other than
`data_write`, go to the broker only once their event is in the audit topic.
";

/// Writes the page.
pub(super) fn print(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{HEAD}")?;
    writeln!(out, "## Served\n")?;
    writeln!(out, "| key | API | versions | asks for | category |\n|--:|---|---|---|---|")?;
    for row in TABLE {
        let asks: Vec<String> = demands::of(row.key)
            .iter()
            .map(|d| format!("**{}** on {}: {}", d.operation, d.on.policy_word(), d.without))
            .collect();
        let asks = if asks.is_empty() { "nothing".to_owned() } else { asks.join("<br>") };
        writeln!(
            out,
            "| {} | {} | {} | {asks} | {} |",
            row.key.0,
            row.key.name(),
            versions(row),
            row.category.as_str()
        )?;
    }
    writeln!(out, "\nA request with any other key, or in a version that is not listed, closes the connection.")
}

/// The versions, and why some of Kafka's are missing.
fn versions(row: &Row) -> String {
    match api(row.key).map(usable) {
        Some(whole) if whole != row.versions && row.versions.max < whole.max => {
            format!("{} of {whole}: {}", row.versions, note(Some(row)))
        }
        _ if row.narrower.is_empty() => row.versions.to_string(),
        _ => format!("{}; {}", row.versions, row.narrower),
    }
}
