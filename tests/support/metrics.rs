//! Reads what the proxy tells over HTTP.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Status and body of a GET. HTTP/1.0, so that the answer ends with the connection.
pub fn get(port: u16, path: &str) -> Result<(u16, String), String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|e| e.to_string())?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(|e| e.to_string())?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").map_err(|e| e.to_string())?;
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(|e| e.to_string())?;
    let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).ok_or_else(|| format!("no HTTP: {text}"))?;
    Ok((status, text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()))
}

/// One sample of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Name of the metric.
    pub name: String,
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: f64,
}

/// All samples of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Metrics(pub Vec<Sample>);

impl Metrics {
    /// Reads the text form of Prometheus.
    pub fn parse(text: &str) -> Metrics {
        Metrics(text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// The sum of all samples with this name that carry these labels; 0 when there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let wanted =
            |s: &&Sample| s.name == name && labels.iter().all(|(k, v)| s.labels.iter().any(|(l, w)| l == k && w == v));
        self.0.iter().filter(wanted).map(|s| s.value).sum()
    }

    /// Whether there is a sample with this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|s| s.name == name)
    }

    /// The value of a label of the first sample with this name.
    pub fn label(&self, name: &str, label: &str) -> Option<&str> {
        let sample = self.0.iter().find(|s| s.name == name)?;
        sample.labels.iter().find(|(l, _)| l == label).map(|(_, value)| value.as_str())
    }
}

fn sample(line: &str) -> Option<Sample> {
    let (head, labels, value) = match line.split_once('{') {
        Some((head, rest)) => {
            let (labels, value) = rest.rsplit_once('}')?;
            (head, labels, value)
        }
        None => {
            let (head, value) = line.split_once(' ')?;
            (head, "", value)
        }
    };
    let mut pairs = Vec::new();
    let mut rest = labels;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut text = String::new();
        let mut chars = after.char_indices();
        let end = loop {
            match chars.next()? {
                (_, '\\') => text.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (at, '"') => break at,
                (_, c) => text.push(c),
            }
        };
        pairs.push((name.trim_start_matches(',').trim().to_owned(), text));
        rest = &after[end + 1..];
    }
    let value = value.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: head.to_owned(), labels: pairs, value })
}

#[test]
fn samples_are_read_with_their_labels() {
    let text = "# HELP a b\nplain 1\nkordon_x_total{api=\"Fetch\",note=\"a \\\"b\\\", {c}\"} 2.5\nkordon_x_total{api=\"Produce\"} 1e3\n";
    let metrics = Metrics::parse(text);
    assert_eq!(metrics.sum("plain", &[]), 1.0);
    assert_eq!(metrics.sum("kordon_x_total", &[]), 1002.5);
    assert_eq!(metrics.sum("kordon_x_total", &[("api", "Fetch")]), 2.5);
    assert_eq!(metrics.label("kordon_x_total", "note"), Some("a \"b\", {c}"));
}
