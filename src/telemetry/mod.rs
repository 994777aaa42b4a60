//! What operators see besides the audit: metrics and the log.

pub mod log;
mod metrics;
mod specs;

pub use metrics::{
    ApiMetrics, ChangeOutcome, IssuerMetrics, ListenerMetrics, LoginOutcome, Metrics, MetricsError, Pause,
    ReloadOutcome, ReloadedFile, RenewalMetrics, UpstreamRenewal,
};
pub use specs::{Kind, SPECS, Spec};
