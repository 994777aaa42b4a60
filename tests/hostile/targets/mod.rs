//! What is fuzzed: functions of bytes that must neither panic nor hold more memory than the input is worth.
//! `tools/fuzz` looks for inputs that break them; the corpus keeps what it found.

mod answer;
mod audit;
mod documents;
mod judge;
mod login;
mod records;
mod tokens;
mod wire;

/// One thing that is fuzzed.
pub(crate) struct Target {
    /// The name of its corpus file.
    pub(crate) name: &'static str,
    run: fn(&[u8]),
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// All of them.
pub(crate) const TARGETS: [Target; 19] = [
    target("frame", wire::frame),
    target("header", wire::header),
    target("proxy_header", wire::proxy),
    target("scan", wire::scan),
    target("codec", wire::codec),
    target("judge", judge::judge),
    target("fetch_answer", answer::fetch_answer),
    target("login", login::login),
    target("session", crate::simulator::fuzz),
    target("renewals", crate::simulator::fuzz_logins),
    target("policy", documents::policy),
    target("config", documents::config),
    target("users", documents::users),
    target("keys", tokens::keys),
    target("token", tokens::token),
    target("records", records::records),
    target("state", records::state),
    target("json", audit::json),
    target("event", audit::event),
];

/// Runs one input.
pub(crate) fn check(target: &Target, data: &[u8]) {
    (target.run)(data);
}
