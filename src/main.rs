//! The `kordon` binary: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    kordon::cli::main()
}
