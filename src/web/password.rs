//! The admin's password: Argon2id, at most two at a time, off the threads that serve.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use tokio::sync::{OnceCell, Semaphore};
use zeroize::Zeroizing;

/// How many hashes may be computed at once: each takes 19 MiB and some 20 ms of a core.
const AT_ONCE: usize = 2;

/// The password that opens the dashboard, as its hash.
pub struct Password {
    /// The text until it is hashed, beside the start: nobody should wait for it.
    text: std::sync::Mutex<Option<Zeroizing<String>>>,
    is_set: bool,
    hash: OnceCell<Option<String>>,
    turns: std::sync::Arc<Semaphore>,
}

impl Password {
    pub fn new(text: Option<Zeroizing<String>>) -> Password {
        Password {
            is_set: text.is_some(),
            text: std::sync::Mutex::new(text),
            hash: OnceCell::new(),
            turns: std::sync::Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Whether there is one at all; if not, one-time links alone open the dashboard.
    pub fn is_set(&self) -> bool {
        self.is_set
    }

    /// Hashes the password and overwrites its text, unless that is done already.
    pub async fn hash_now(&self) {
        self.hash.get_or_init(|| self.hash_text()).await;
    }

    /// Whether this is the password. Without one nothing is.
    pub async fn is(&self, tried: Zeroizing<String>) -> bool {
        let Some(hash) = self.hash.get_or_init(|| self.hash_text()).await.clone() else {
            return false;
        };
        self.in_turn(move || {
            let Ok(hash) = PasswordHash::new(&hash) else {
                return false;
            };
            Argon2::default().verify_password(tried.as_bytes(), &hash).is_ok()
        })
        .await
        .unwrap_or(false)
    }

    async fn hash_text(&self) -> Option<String> {
        let text = self.text.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()?;
        self.in_turn(move || {
            Argon2::default().hash_password(text.as_bytes()).map(|hash| hash.to_string()).ok()
        })
        .await
        .flatten()
    }

    /// Runs when it is its turn, on a thread that may block. None only while the program ends.
    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        // The turn goes with the work, which runs to its end even if nobody waits for it any more.
        let turn = self.turns.clone().acquire_owned().await.ok()?;
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(turn);
            result
        })
        .await
        .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_password_is_the_password() {
        let password = Password::new(Some(Zeroizing::new("passing by".to_owned())));
        assert!(password.is_set());
        for (tried, right) in [("passing by", true), ("passing", false), ("", false), ("passing by", true)] {
            assert_eq!(password.is(Zeroizing::new(tried.to_owned())).await, right, "{tried:?}");
        }
        assert!(password.text.lock().unwrap().is_none(), "the text is gone once it is hashed");
    }

    #[tokio::test]
    async fn without_a_password_nothing_is() {
        let password = Password::new(None);
        assert!(!password.is_set());
        assert!(!password.is(Zeroizing::new(String::new())).await);
    }
}
