//! Who may come in: one-time links and the sign-ins (browser sessions) they and the password lead to.
//!
//! Both are random secrets of which the store keeps the hash and the end, as settings: `auth/link` (one at
//! a time, a new one replaces the old) and `auth/session/<hash>`. `auth/first` is set by the first sign-in
//! ever, so that a start knows whether it is the first run.

use crate::secret;
use crate::store::{Error, Kind, Result, Store};
use serde::{Deserialize, Serialize};

/// How long a one-time link works, ms: a day.
pub const LINK_MS: i64 = 24 * 3_600_000;

/// How long a sign-in lasts, ms: 30 days.
pub const SESSION_MS: i64 = 30 * 24 * 3_600_000;

const LINK: &str = "auth/link";
const FIRST: &str = "auth/first";
const SESSION: &str = "auth/session/";

#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(default)]
    hash: String,
    expires_ms: i64,
}

/// Makes a one-time link's token; the one before stops working.
pub async fn new_link(store: &dyn Store, now_ms: i64) -> Result<String> {
    let token = secret::random()?;
    let stored = Stored { hash: secret::hash(&token), expires_ms: now_ms + LINK_MS };
    let expected = store.setting(LINK).await?.map_or(0, |setting| setting.revision);
    store.put_setting(LINK, expected, Some(to_json(&stored)?)).await?;
    Ok(token)
}

/// Takes a one-time link's token. True once, for the right one, in time.
pub async fn take_link(store: &dyn Store, token: &str, now_ms: i64) -> Result<bool> {
    let Some(setting) = store.setting(LINK).await? else {
        return Ok(false);
    };
    let stored = parse(&setting.value)?;
    if !secret::matches(token, &stored.hash) || now_ms >= stored.expires_ms {
        return Ok(false);
    }
    match store.put_setting(LINK, setting.revision, None).await {
        Ok(()) => Ok(true),
        // Somebody else has just taken it.
        Err(e) if e.kind == Kind::Conflict => Ok(false),
        Err(e) => Err(e),
    }
}

/// Whether nobody has ever signed in.
pub async fn is_first_run(store: &dyn Store) -> Result<bool> {
    Ok(store.setting(FIRST).await?.is_none())
}

/// Begins a session and returns its secret.
pub async fn begin(store: &dyn Store, now_ms: i64) -> Result<String> {
    let token = secret::random()?;
    let stored = Stored { hash: String::new(), expires_ms: now_ms + SESSION_MS };
    store.put_setting(&session_key(&token), 0, Some(to_json(&stored)?)).await?;
    if is_first_run(store).await? {
        let first = store.put_setting(FIRST, 0, Some(b"true".to_vec())).await;
        // Somebody else was the first in the same moment: as good.
        first.or_else(|e| if e.kind == Kind::Conflict { Ok(()) } else { Err(e) })?;
    }
    Ok(token)
}

/// Whether a secret is that of a session that goes on. Found by its hash, which tells nothing about it.
pub async fn goes_on(store: &dyn Store, token: &str, now_ms: i64) -> Result<bool> {
    let Some(setting) = store.setting(&session_key(token)).await? else {
        return Ok(false);
    };
    Ok(now_ms < parse(&setting.value)?.expires_ms)
}

/// Ends a session, if it is one.
pub async fn end(store: &dyn Store, token: &str) -> Result<()> {
    let key = session_key(token);
    if let Some(setting) = store.setting(&key).await? {
        store.put_setting(&key, setting.revision, None).await?;
    }
    Ok(())
}

/// Removes sessions that are over.
pub async fn forget_ended(store: &dyn Store, now_ms: i64) -> Result<()> {
    for setting in store.settings(SESSION).await? {
        if now_ms >= parse(&setting.value)?.expires_ms {
            store.put_setting(&setting.key, setting.revision, None).await?;
        }
    }
    Ok(())
}

fn session_key(token: &str) -> String {
    format!("{SESSION}{}", secret::hash(token))
}

fn parse(value: &[u8]) -> Result<Stored> {
    serde_json::from_slice(value)
        .map_err(|e| Error { kind: Kind::Corrupt, message: format!("a sign-in cannot be read: {e}") })
}

fn to_json(stored: &Stored) -> Result<Vec<u8>> {
    serde_json::to_vec(stored)
        .map_err(|e| Error { kind: Kind::Corrupt, message: format!("a sign-in cannot be written: {e}") })
}
