//! Passerby, the part that touches the world: sockets, clock, files, environment. What happens to an
//! event in between is [`passerby_engine`]'s, which knows none of these.
//!
//! The product is a library first; the binary is one user of it. The modules are listed in the order
//! an event meets them.

// From the command line to a running server.
pub mod cli;
pub mod commands;
pub mod config;
pub mod jobs;
pub mod serve;

// From a request to its answer.
pub mod app;
pub mod web;

pub mod places;
pub mod sites;

pub mod keys;
pub mod secret;
pub mod signin;

pub mod salts;

pub mod committer;

pub mod store;

pub mod folder;

pub mod answer;

pub mod import;
