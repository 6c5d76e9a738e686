//! The web.

pub mod script;
