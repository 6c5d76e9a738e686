//! Passerby's engine: bytes to events, events to blocks, blocks to state, questions to reports.
//!
//! Nothing here touches the world: no sockets, clock, environment, randomness or files. Time, salts,
//! tables and settings come in as arguments, so that every step can be tested, fuzzed and replayed.
//! The modules are listed in the order an event meets them.

pub mod event;

pub mod json;
pub mod plausible;
mod raw;
pub mod receive;
pub mod url;

pub mod address;
pub mod agent;
mod bots;
pub mod enrich;
pub mod place;
pub mod source;
pub mod sources;
pub mod visitor;
mod words;

pub mod block;
pub mod bytes;
pub mod segment;

pub mod cells;
pub mod day;
pub mod fold;
pub mod freeze;
pub mod fresh;
pub mod intern;
pub mod remember;
pub mod rollup;
pub mod state;
pub mod visit;

pub mod query;
pub mod time;
