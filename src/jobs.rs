//! What a long-lived server does by itself: all jobs in one list.

use crate::app::App;
use crate::signin;
use crate::web::log;
use anyhow::Result;
use passerby_engine::event::Day;
use passerby_engine::time;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How long the events of a day are kept, days: 13 months. Their counts stay.
const KEPT_DAYS: i32 = 395;

type Run = for<'a> fn(&'a App) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

struct Job {
    name: &'static str,
    /// How long between two runs, s; they fall on multiples of it since 1970. (So a job of every minute
    /// runs at every site's midnight.)
    every_s: u64,
    at_start: bool,
    run: Run,
}

const JOBS: [Job; 4] = [
    Job {
        name: "wipe the salts of days that are over",
        every_s: 60,
        at_start: true,
        run: |app| Box::pin(wipe_salts(app)),
    },
    Job {
        name: "read the place database again",
        every_s: 5,
        at_start: false,
        run: |app| Box::pin(app.reload_places()),
    },
    Job {
        name: "erase old events",
        every_s: 24 * 3600,
        at_start: true,
        run: |app| Box::pin(erase_old_events(app)),
    },
    Job {
        name: "forget sign-ins that are over",
        every_s: 24 * 3600,
        at_start: true,
        run: |app| Box::pin(forget_sign_ins(app)),
    },
];

/// Starts all jobs; they end when what is returned is dropped.
pub fn start(app: &Arc<App>) -> JoinSet<()> {
    let mut running = JoinSet::new();
    for job in JOBS {
        running.spawn(repeat(app.clone(), job));
    }
    running
}

async fn repeat(app: Arc<App>, job: Job) {
    let mut due = job.at_start;
    loop {
        if due && let Err(e) = (job.run)(&app).await {
            log(&format!("could not {}: {e:#}; the next try is in {} s", job.name, job.every_s));
        }
        due = true;
        let every_ms = job.every_s.saturating_mul(1000);
        let now_ms = u64::try_from(app.now_ms()).unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(every_ms - now_ms % every_ms)).await;
    }
}

/// Salts end when their day does, and 30 minutes more: on a full minute, as every zone's midnight is.
async fn wipe_salts(app: &App) -> Result<()> {
    if let Some(level) = app.salts.rotate(app.now_ms()) {
        log(&level.to_string());
    }
    Ok(())
}

async fn erase_old_events(app: &App) -> Result<()> {
    let now_ms = app.now_ms();
    for site in app.sites.all(now_ms).await? {
        let today = time::local(&site.rules(now_ms).zone, now_ms).day;
        app.store.forget_segments(site.id, Day(today.0 - KEPT_DAYS)).await?;
    }
    Ok(())
}

async fn forget_sign_ins(app: &App) -> Result<()> {
    Ok(signin::forget_ended(&*app.store, app.now_ms()).await?)
}
