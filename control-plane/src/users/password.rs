//! Passwords: what a good one is, and hashes of them. To hash takes time and memory on purpose, so that is done beside the
//! threads that serve requests, and not by many at a time.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use filters::model::{Problem, Secret};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Makes and checks hashes of passwords.
#[derive(Debug)]
pub(super) struct Passwords {
    places: Arc<Semaphore>,
    /// Checked where there is no account, so that the answer takes as long as where there is one.
    nobody: Secret,
}

/// Why a password was not hashed or checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PasswordError {
    /// Too many others are signing in.
    #[error("too many sign-ins at a time")]
    Busy,
    /// A fault of this program.
    #[error("a password cannot be hashed")]
    Fault,
}

impl Passwords {
    pub(super) fn new() -> Result<Self, PasswordError> {
        Ok(Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            nobody: hash(&Secret::new("nobody signs in with this"))?,
        })
    }

    /// The hash of a password, as a PHC string.
    pub(super) async fn hash(&self, password: &Secret) -> Result<Secret, PasswordError> {
        let password = password.clone();
        self.work(move || hash(&password)).await?
    }

    /// True if `kept` is the hash of this password. Where nothing is kept, it takes as long and is false.
    pub(super) async fn verify(&self, password: &Secret, kept: Option<&Secret>) -> Result<bool, PasswordError> {
        let (password, is_kept) = (password.clone(), kept.is_some());
        let kept = kept.unwrap_or(&self.nobody).clone();
        let matches = self.work(move || verify(&password, &kept)).await?;
        Ok(matches && is_kept)
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, PasswordError> {
        let place = Arc::clone(&self.places).acquire_owned();
        let place: OwnedSemaphorePermit = tokio::time::timeout(LONGEST_WAIT, place)
            .await
            .map_err(|_| PasswordError::Busy)?
            .map_err(|_| PasswordError::Fault)?;
        // Goes on if nobody waits any more; the place is free when it has ended.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await.map_err(|_| PasswordError::Fault)
    }
}

/// Says what is wrong with a new password of `email`, in the field `field`.
pub(crate) fn check(password: &Secret, email: &str, field: &str, problems: &mut Vec<Problem>) {
    let text = password.expose();
    let (length, lower) = (text.chars().count(), text.to_lowercase());
    let local = email.split('@').next().unwrap_or_default();
    let message = if length < SHORTEST {
        format!("must have at least {SHORTEST} characters")
    } else if text.len() > LONGEST_BYTES {
        format!("is longer than {LONGEST_BYTES} bytes")
    } else if lower == email || (lower.starts_with(local) && length < local.chars().count() + OWN_CHARACTERS) {
        "must not be the e-mail address, nor its name with a few characters behind it".to_owned()
    } else if text.chars().all(|character| text.starts_with(character)) {
        "must not be one character over and over".to_owned()
    } else {
        return;
    };
    problems.push(Problem::new(field, message));
}

/// True for what is too long to be anybody's password, so that nobody has this process hash it.
pub(super) fn is_too_long(password: &Secret) -> bool {
    password.expose().len() > LONGEST_BYTES
}

fn hash(password: &Secret) -> Result<Secret, PasswordError> {
    let salt: [u8; 16] = rand::random();
    let salt = SaltString::encode_b64(&salt).map_err(|_| PasswordError::Fault)?;
    let hash = hasher()?.hash_password(password.expose().as_bytes(), &salt);
    hash.map(|hash| Secret::new(hash.to_string()))
        .map_err(|_| PasswordError::Fault)
}

fn verify(password: &Secret, kept: &Secret) -> bool {
    let (Ok(hasher), Ok(kept)) = (hasher(), PasswordHash::new(kept.expose())) else {
        return false;
    };
    hasher.verify_password(password.expose().as_bytes(), &kept).is_ok()
}

fn hasher() -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| PasswordError::Fault)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// What OWASP asks of Argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes at a time; each takes 19 MiB and a processor.
const AT_ONCE: usize = 2;
const LONGEST_WAIT: Duration = Duration::from_secs(5);
const SHORTEST: usize = 12;
const LONGEST_BYTES: usize = 1_024;
/// Characters that a password must have behind the name of its address.
const OWN_CHARACTERS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash() {
        let passwords = Passwords::new().unwrap();
        let password = Secret::new("correct horse battery");
        let kept = passwords.hash(&password).await.unwrap();
        assert!(
            kept.expose().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{}",
            kept.expose()
        );
        assert!(!kept.expose().contains("correct"));
        assert_ne!(kept, passwords.hash(&password).await.unwrap(), "each has its own salt");
        assert!(passwords.verify(&password, Some(&kept)).await.unwrap());
        assert!(!passwords.verify(&Secret::new("wrong"), Some(&kept)).await.unwrap());
        assert!(
            !passwords
                .verify(&Secret::new("wrong"), Some(&Secret::new("***")))
                .await
                .unwrap()
        );
    }

    #[tokio::test]
    async fn nobody_has_a_password() {
        let passwords = Passwords::new().unwrap();
        let own = Secret::new("nobody signs in with this");
        assert!(!passwords.verify(&own, None).await.unwrap());
    }

    #[test]
    fn weak_passwords_are_refused() {
        let wrong = |password: &str| {
            let mut problems = Vec::new();
            check(
                &Secret::new(password),
                "ana.silva@clinic.example",
                "password",
                &mut problems,
            );
            !problems.is_empty()
        };
        assert!(wrong("elevenchars"));
        assert!(wrong("Ana.Silva@clinic.example"));
        assert!(wrong("ana.silva2026"));
        assert!(wrong("aaaaaaaaaaaaaaaa"));
        assert!(wrong(&"long".repeat(300)));
        assert!(!wrong("correct horse battery"));
        assert!(!wrong("äöüäöüäöüäöß"));
    }
}
