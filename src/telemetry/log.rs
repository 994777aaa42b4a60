//! The log: to standard error, as text or JSON, from one level on.

use crate::config::{Log, LogFormat, LogLevel};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The log was already set up in this process.
#[derive(Debug, thiserror::Error)]
#[error("the log was already set up")]
pub struct LogError(#[from] tracing::subscriber::SetGlobalDefaultError);

/// Sends the log of this process to standard error, so that standard output stays free for what a command prints.
/// Environment variable `KORDON_LOG` adds to the level, as in `kordon::net=debug`.
///
/// # Errors
/// It was already set up.
pub fn init(log: Log) -> Result<(), LogError> {
    Ok(tracing::subscriber::set_global_default(subscriber(log, std::io::stderr, std::env::var("KORDON_LOG").ok()))?)
}

/// A subscriber that writes to `writer`; `directives` add to the level.
fn subscriber<W>(log: Log, writer: W, directives: Option<String>) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder()
        .with_default_directive(level(log.level).into())
        .parse_lossy(directives.unwrap_or_default());
    // Client-chosen text may hold terminal codes: the formatter escapes them, and colours stay off.
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    match log.format {
        LogFormat::Text => Box::new(builder.finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
    }
}

const fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: LogLevel, directives: Option<&str>) -> Vec<String> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let log = subscriber(Log { format, level }, move || writer.clone(), directives.map(str::to_owned));
        tracing::subscriber::with_default(log, || {
            tracing::info!(listener = "a\u{1b}[31m", "told");
            tracing::debug!("whispered");
        });
        let bytes = buffer.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_below_the_level_are_not_written() {
        assert_eq!(logged(LogFormat::Text, LogLevel::Info, None).len(), 1);
        assert_eq!(logged(LogFormat::Text, LogLevel::Debug, None).len(), 2);
        assert_eq!(logged(LogFormat::Text, LogLevel::Error, None).len(), 0);
        assert_eq!(logged(LogFormat::Text, LogLevel::Error, Some("kordon=debug")).len(), 2);
    }

    #[test]
    fn json_is_one_object_a_line() {
        let lines = logged(LogFormat::Json, LogLevel::Info, None);
        let value: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!((value["message"].as_str(), value["level"].as_str()), (Some("told"), Some("INFO")));
        assert_eq!(value["listener"].as_str(), Some("a\u{1b}[31m"));
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        let text = logged(LogFormat::Text, LogLevel::Info, None).concat();
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
