//! Loads what a query needs and lets the engine decide: stored rollups and the live state, always added.
//!
//! Stored rollups hold a site's closed days and its imports; the days still open live in the fold's state. A
//! day is in one or the other, and moves when the fold closes it. A read that met the move between its two
//! halves would see the day twice or not at all, so each answer notes where the fold stands before and after
//! reading, and starts again if it has moved.

use crate::store::{self, Store};
use passerby_engine::event::{Day, SiteId};
use passerby_engine::query::{Query, Report};
use passerby_engine::rollup::{Dim, Rollup};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The open days of a process that folds.
pub trait Live: Send + Sync {
    /// A number that grows whenever a day is closed, not before its rollups can be read from the store.
    fn epoch(&self) -> u64;

    /// The rollups of a site's open days within `days`, of one moment.
    fn rollups(
        &self,
        site: SiteId,
        dims: &[Dim],
        days: RangeInclusive<Day>,
    ) -> Vec<(Day, Dim, Rollup)>;

    /// The first and last open day of a site that has any.
    fn days(&self, site: SiteId) -> Option<(Day, Day)>;
}

/// Where answers come from.
pub struct Source {
    store: Arc<dyn Store>,
    live: Option<Arc<dyn Live>>,
}

impl Source {
    /// Reads beside a fold in this process.
    pub fn beside(store: Arc<dyn Store>, live: Arc<dyn Live>) -> Source {
        Source {
            store,
            live: Some(live),
        }
    }

    /// Reads from the store alone: loads the last checkpoint and folds the tail itself.
    pub fn alone(store: Arc<dyn Store>) -> Source {
        Source { store, live: None }
    }

    /// One query's answer. A query that rollups cannot answer is refused by `query::parse` already; here it is
    /// [`store::Kind::Unusable`].
    pub async fn report(&self, site: SiteId, query: &Query) -> store::Result<Report> {
        todo!(
            "{:?} {query:?}",
            (site, &self.store.revision().await, self.live.is_some())
        )
    }

    /// Many queries' answers, in their order, all of one moment and by one read of the store.
    pub async fn reports(&self, _site: SiteId, _queries: &[Query]) -> store::Result<Vec<Report>> {
        todo!()
    }

    /// The first and last day for which a site has anything, open days and imports included.
    pub async fn bounds(&self, _site: SiteId) -> store::Result<Option<(Day, Day)>> {
        todo!()
    }
}
