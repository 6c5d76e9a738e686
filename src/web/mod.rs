//! The web.
pub mod assets;
pub mod face;
mod lists;
pub mod present;
pub mod view;
pub mod window;

#[cfg(test)]
mod gallery;
