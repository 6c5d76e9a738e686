//! Everything that the handlers share, and how it is put together.

use crate::sites::Sites;
use crate::store::{self, Store};
use crate::web::{Backoff, Password, WebConfig};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What time it is, Unix milliseconds: the system's clock, or a test's.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What an [`App`] is made of.
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub clock: Clock,
    pub web: WebConfig,
    /// The admin's password; overwritten once it is hashed.
    pub password: Option<Zeroizing<String>>,
}

pub struct App {
    pub store: Arc<dyn Store>,
    pub sites: Sites,
    pub web: WebConfig,
    pub password: Password,
    pub backoff: Backoff,
    clock: Clock,
}

impl App {
    /// Opens what a server needs over a store.
    pub async fn open(parts: Parts) -> store::Result<App> {
        Ok(App {
            sites: Sites::open(parts.store.clone()).await?,
            web: parts.web,
            password: Password::new(parts.password),
            backoff: Backoff::default(),
            clock: parts.clock,
            store: parts.store,
        })
    }

    /// Now, Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        (self.clock)()
    }
}

/// The system's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| jiff::Timestamp::now().as_millisecond())
}
