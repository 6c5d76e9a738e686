//! The program: everything is in the library.

use std::process::ExitCode;

/// Requests make many small allocations in one thread and free them in another, which is what it is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    passerby::commands::run(std::env::args_os(), &|name| std::env::var(name).ok())
}
