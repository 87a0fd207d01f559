//! The one binary of Lifeboat; see `lifeboat --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    lifeboat::cli::main()
}
