//! Every store keeps the promises of `store/mod.rs`: one suite, a test for each, one line a store.

#[path = "conformance/suite.rs"]
mod suite;

use passerby::store::{Store, sqlite::Sqlite};
use std::sync::Arc;

/// A place where a store lies. Each call of `open` is another handle on it, as another process would have.
pub trait Place {
    fn open(&self) -> Arc<dyn Store>;
}

struct SqlitePlace(tempfile::TempDir);

impl Place for SqlitePlace {
    fn open(&self) -> Arc<dyn Store> {
        let file = self.0.path().join("data/passerby.db");
        Arc::new(Sqlite::open(&file).expect("the store opens"))
    }
}

fn sqlite() -> SqlitePlace {
    SqlitePlace(tempfile::tempdir().expect("a folder"))
}

conformance!(sqlite);
