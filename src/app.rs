//! Everything that the handlers share, and how it is put together.

use crate::answer::Source;
use crate::committer::Committer;
use crate::folder::Folder;
use crate::places::PlaceFile;
use crate::salts::Salts;
use crate::secret;
use crate::sites::Sites;
use crate::store::{self, Error, Kind, Position, Store};
use crate::web::{Backoff, Flood, Password, Quiet, WebConfig};
use anyhow::Result;
use passerby_engine::enrich::{BatchKey, Tables};
use passerby_engine::place;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use tokio::sync::{Notify, watch};
use zeroize::Zeroizing;

/// What time it is, Unix milliseconds: the system's clock, or a test's.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// What an [`App`] is made of.
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub salts: Salts,
    pub clock: Clock,
    pub web: WebConfig,
    /// A database of places, in MaxMind's format.
    pub geo: Option<PathBuf>,
    /// The admin's password; overwritten once it is hashed.
    pub password: Option<Zeroizing<String>>,
}

pub struct App {
    pub store: Arc<dyn Store>,
    pub committer: Committer,
    pub folder: Folder,
    pub answers: Source,
    pub sites: Sites,
    pub salts: Salts,
    pub web: WebConfig,
    pub password: Password,
    pub backoff: Backoff,
    pub flood: Flood,
    /// For batches that are not taken.
    pub complaints: Quiet,
    batch_key: [u8; 16],
    /// Numbers for batches that have nothing to tell a retry by.
    fresh: AtomicU64,
    /// Guards which tables are in use; held while a request is enriched, and to replace them.
    tables: RwLock<Tables>,
    place_file: Option<Arc<PlaceFile>>,
    clock: Clock,
}

impl App {
    /// Opens what a server needs over a store: loads the sites, and the fold's last checkpoint.
    pub async fn open(parts: Parts) -> Result<App> {
        let store = parts.store;
        let (place_file, places) = match parts.geo.map(PlaceFile::open).transpose()? {
            Some((file, places)) => (Some(Arc::new(file)), places),
            None => (None, place::Tables::new()),
        };
        let committer = Committer::start(store.clone());
        let wake = Arc::new(Notify::new());
        let folder = Folder::start(store.clone(), wake.clone()).await?;
        tokio::spawn(wake_after_appends(committer.subscribe(), wake));
        Ok(App {
            answers: Source::beside(store.clone(), Arc::new(folder.clone())),
            committer,
            folder,
            sites: Sites::open(store.clone()).await?,
            salts: parts.salts,
            web: parts.web,
            password: Password::new(parts.password),
            backoff: Backoff::default(),
            flood: Flood::default(),
            complaints: Quiet::default(),
            batch_key: batch_key(&*store).await?,
            fresh: AtomicU64::new(secret::random_u64()?),
            tables: RwLock::new(Tables::new(secret::random_16()?, places)),
            place_file,
            clock: parts.clock,
            store,
        })
    }

    /// Answers what waits, folds it, publishes a checkpoint, and closes the store. To be called once nothing is accepted any more.
    pub async fn close(&self) {
        self.committer.close().await;
        self.folder.close().await;
        // An error has been told by whoever met it; the log is whole in any case.
        let _ = self.store.close().await;
    }

    /// Now, Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// What the ids of a request's batches are made from.
    pub fn batch_key(&self) -> BatchKey {
        BatchKey { key: self.batch_key, fresh: self.fresh.fetch_add(1, Ordering::Relaxed) }
    }

    /// The tables in use. Not to be held across an await.
    pub fn tables(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the place database again if its file has been replaced.
    pub async fn reload_places(&self) -> Result<()> {
        let Some(file) = self.place_file.clone() else {
            return Ok(());
        };
        if let Some(places) = tokio::task::spawn_blocking(move || file.read_if_new()).await?? {
            let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
            tables.places = Arc::new(places);
        }
        Ok(())
    }
}

/// The store's key for the ids of batches: made once, the same for every process.
pub async fn batch_key(store: &dyn Store) -> store::Result<[u8; 16]> {
    const KEY: &str = "batch-key";
    let not_one = || Error::new(Kind::Corrupt, "the setting batch-key is not 16 bytes");
    if store.setting(KEY).await?.is_none() {
        match store.put_setting(KEY, 0, Some(secret::random_16()?.to_vec())).await {
            // Another process was first: its key is the one.
            Err(e) if e.kind == Kind::Conflict => {}
            other => other?,
        }
    }
    let setting = store.setting(KEY).await?.ok_or_else(not_one)?;
    setting.value.try_into().map_err(|_| not_one())
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
