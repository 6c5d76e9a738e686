//! Everything that the handlers share, and how it is put together.

use crate::answer::Source;
use crate::committer::Committer;
use crate::folder::Folder;
use crate::sites::Sites;
use crate::store::{self, Position, Store};
use crate::web::{Backoff, Password, WebConfig};
use std::sync::Arc;
use tokio::sync::{Notify, watch};
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
    pub committer: Committer,
    pub folder: Folder,
    pub answers: Source,
    pub sites: Sites,
    pub web: WebConfig,
    pub password: Password,
    pub backoff: Backoff,
    clock: Clock,
}

impl App {
    /// Opens what a server needs over a store.
    pub async fn open(parts: Parts) -> store::Result<App> {
        let committer = Committer::start(parts.store.clone());
        let wake = Arc::new(Notify::new());
        let folder = Folder::start(parts.store.clone(), wake.clone()).await?;
        tokio::spawn(wake_after_appends(committer.subscribe(), wake));
        Ok(App {
            answers: Source::beside(parts.store.clone(), Arc::new(folder.clone())),
            committer,
            folder,
            sites: Sites::open(parts.store.clone()).await?,
            web: parts.web,
            password: Password::new(parts.password),
            backoff: Backoff::default(),
            clock: parts.clock,
            store: parts.store,
        })
    }

    /// Answers what waits, folds it, and publishes a checkpoint. To be called once nothing is accepted any more.
    pub async fn close(&self) {
        self.committer.close().await;
        self.folder.close().await;
    }

    /// Now, Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        (self.clock)()
    }
}

/// Tells the folder of each append, until there will be no more.
async fn wake_after_appends(mut appended: watch::Receiver<Position>, wake: Arc<Notify>) {
    while appended.changed().await.is_ok() {
        wake.notify_one();
    }
}

/// The system's clock.
pub fn system_clock() -> Clock {
    Arc::new(|| jiff::Timestamp::now().as_millisecond())
}
