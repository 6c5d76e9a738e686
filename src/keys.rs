//! Keys of the API: `pb_<id>_<secret>`, kept as settings (`key/<id>`) with the secret's hash.

use crate::secret;
use crate::store::{Error, Kind, Result, Store};
use passerby_engine::event::SiteId;
use serde::{Deserialize, Serialize};

/// How a key is kept: the JSON of its setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredKey {
    pub name: String,
    pub created_ms: i64,
    /// The only site that it may read; None: all.
    pub site: Option<SiteId>,
    pub hash: String,
}

/// Makes a key and returns it; nobody can read it again. A name is taken once.
pub async fn add(store: &dyn Store, name: &str, site: Option<SiteId>, now_ms: i64) -> Result<Option<String>> {
    if list(store).await?.iter().any(|(_, _, key)| key.name == name) {
        return Ok(None);
    }
    let id = format!("{:016x}", secret::random_u64()?);
    let secret = secret::random()?;
    let stored = StoredKey { name: name.to_owned(), created_ms: now_ms, site, hash: secret::hash(&secret) };
    let value = serde_json::to_vec(&stored).map_err(|e| corrupt(format!("a key cannot be written: {e}")))?;
    store.put_setting(&format!("key/{id}"), 0, Some(value)).await?;
    Ok(Some(format!("pb_{id}_{secret}")))
}

/// All keys: id, revision, what is stored; by name.
pub async fn list(store: &dyn Store) -> Result<Vec<(String, u64, StoredKey)>> {
    let mut keys = Vec::new();
    for setting in store.settings("key/").await? {
        let id = setting.key.strip_prefix("key/").unwrap_or_default().to_owned();
        keys.push((id, setting.revision, parse(&setting.key, &setting.value)?));
    }
    keys.sort_by(|a, b| a.2.name.cmp(&b.2.name));
    Ok(keys)
}

/// Removes a key by name. False if there is none.
pub async fn remove(store: &dyn Store, name: &str) -> Result<bool> {
    for (id, revision, key) in list(store).await? {
        if key.name == name {
            store.put_setting(&format!("key/{id}"), revision, None).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// What a key may read, if it is one of ours. Looked up by its id, compared by its hash; an unknown id costs
/// a comparison too, so that the time does not tell which of the two was wrong.
pub async fn check(store: &dyn Store, presented: &str) -> Result<Option<StoredKey>> {
    let mut parts = presented.strip_prefix("pb_").unwrap_or_default().splitn(2, '_');
    let (id, secret) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let id_is_one = id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit());
    let key = match if id_is_one { store.setting(&format!("key/{id}")).await? } else { None } {
        Some(setting) => Some(parse(&setting.key, &setting.value)?),
        None => None,
    };
    let nobody = "0".repeat(64);
    let matches = secret::matches(secret, key.as_ref().map_or(&nobody, |key| &key.hash));
    Ok(key.filter(|_| matches))
}

fn parse(key: &str, value: &[u8]) -> Result<StoredKey> {
    serde_json::from_slice(value).map_err(|e| corrupt(format!("the setting {key} cannot be read: {e}")))
}

fn corrupt(message: String) -> Error {
    Error { kind: Kind::Corrupt, message }
}
