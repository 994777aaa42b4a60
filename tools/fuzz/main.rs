//! Looks for inputs that break a target of `tests/hostile/targets`, guided by the coverage of what runs (libFuzzer).
//! `tools/fuzz/run` builds and starts it; the target's name comes in `KORDON_FUZZ`.
#![no_main]

#[allow(dead_code)]
#[path = "../../tests/hostile/allocator.rs"]
mod allocator;
#[path = "../../tests/hostile/input.rs"]
mod input;
#[allow(dead_code)]
#[path = "../../tests/codec/messages.rs"]
mod messages;
#[allow(dead_code)]
#[path = "../../tests/support/mint.rs"]
mod mint;
#[allow(dead_code)]
#[path = "../../tests/hostile/simulator/mod.rs"]
mod simulator;
#[allow(dead_code)]
#[path = "../../tests/hostile/stage.rs"]
mod stage;
#[path = "../../tests/hostile/targets/mod.rs"]
mod targets;

use std::sync::LazyLock;

static TARGET: LazyLock<&targets::Target> = LazyLock::new(|| {
    let name = std::env::var("KORDON_FUZZ").unwrap_or_default();
    let found = targets::TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("KORDON_FUZZ must name a target, `{name}` is none"))
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::check(&TARGET, data));
