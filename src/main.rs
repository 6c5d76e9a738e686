//! The program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    passerby::commands::run(std::env::args_os(), &|name| std::env::var(name).ok())
}
