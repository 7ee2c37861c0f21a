//! Passwords: hashed with Argon2id, compared in equal work whether or not there is such a person, and judged before they
//! are taken.
//!
//! Invariants: at most [`AT_ONCE`] hashes are computed at a time, so that a crowd of log-ins neither fills the memory nor
//! starves the rest of the process; a password is read up to [`LONGEST`] characters only. Deliberately absent: rules about
//! kinds of characters, which make passwords worse, and lists of leaked passwords, which would need another server.

use std::sync::{LazyLock, OnceLock};

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use tokio::sync::Semaphore;

/// Characters of a password at least.
pub(crate) const SHORTEST: usize = 12;
/// Characters of a password at most.
pub(crate) const LONGEST: usize = 200;
/// Hashes computed at the same time; each takes 19 MiB.
const AT_ONCE: usize = 2;
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Of 0 to 4: 3 is safe against guessing of a slow hash.
const SCORE: u8 = 3;

static PLACES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(AT_ONCE));
/// A hash of no password that anyone knows, for people who do not exist.
static NOBODY: OnceLock<String> = OnceLock::new();

/// Why no hash was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the password cannot be hashed")]
pub struct HashError;

fn hasher() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| HashError)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash_now(password: &str) -> Result<String, HashError> {
    let hash = hasher()?.hash_password(password.as_bytes());
    hash.map(|hash| hash.to_string()).map_err(|_| HashError)
}

/// Runs work of a hash on a thread of its own, when a place is free.
async fn in_turn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, HashError> {
    let _place = PLACES.acquire().await.map_err(|_| HashError)?;
    tokio::task::spawn_blocking(work).await.map_err(|_| HashError)
}

/// The hash to store.
///
/// # Errors
/// [`HashError`] when the process is out of memory or stops.
pub(crate) async fn hash(password: &str) -> Result<String, HashError> {
    let password = password.to_owned();
    in_turn(move || hash_now(&password)).await?
}

/// Whether this is the password of a stored hash. Without a hash the same work is done and the answer is no.
///
/// # Errors
/// [`HashError`] when the process is out of memory or stops.
pub(crate) async fn verify(password: &str, stored: Option<&str>) -> Result<bool, HashError> {
    if password.chars().nth(LONGEST).is_some() {
        return verify_any("", None).await;
    }
    verify_any(password, stored).await
}

async fn verify_any(password: &str, stored: Option<&str>) -> Result<bool, HashError> {
    let (password, stored) = (password.to_owned(), stored.map(str::to_owned));
    in_turn(move || {
        let nobody = || -> Result<String, HashError> {
            match NOBODY.get() {
                Some(hash) => Ok(hash.clone()),
                None => {
                    let made = hash_now(&domain::key::secret("", domain::random::bytes()))?;
                    Ok(NOBODY.get_or_init(|| made).clone())
                }
            }
        };
        let (hash, is_someone) = match stored {
            Some(hash) => (hash, true),
            None => (nobody()?, false),
        };
        let hash = argon2::PasswordHash::new(&hash).map_err(|_| HashError)?;
        Ok(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok() && is_someone)
    })
    .await?
}

/// What is wrong with a new password and how to mend it; `None` when it may be taken. `known` is what strangers know of
/// the person: address, name, organisation.
pub(crate) fn fault(password: &str, known: &[&str]) -> Option<String> {
    let length = password.chars().count();
    if length == 0 {
        return Some(format!("Choose a password: {SHORTEST} characters at least"));
    }
    if length < SHORTEST {
        return Some(format!(
            "Make it longer: {SHORTEST} characters at least. Yours had {length}."
        ));
    }
    if length > LONGEST {
        return Some(format!("Make it shorter: {LONGEST} characters at most."));
    }
    if let Some(word) = contained(password, known) {
        return Some(format!(
            "Leave out \u{201c}{word}\u{201d}: whoever guesses tries your name and address first"
        ));
    }
    let judged = zxcvbn::zxcvbn(password, known);
    if u8::from(judged.score()) >= SCORE {
        return None;
    }
    let feedback = judged.feedback();
    let warning = feedback.and_then(zxcvbn::feedback::Feedback::warning);
    let advice = feedback.and_then(|feedback| feedback.suggestions().first().copied());
    let reason = warning.map_or_else(|| "It is easy to guess.".to_owned(), |text| text.to_string());
    let remedy = advice.map_or_else(
        || "Add another word or two. Uncommon words are better.".to_owned(),
        |text| text.to_string(),
    );
    Some(format!("{reason} {remedy}"))
}

/// A part of what is known that the password repeats: whole names and addresses, words of four letters and more.
fn contained<'a>(password: &str, known: &[&'a str]) -> Option<&'a str> {
    let password = password.to_lowercase();
    let words = known
        .iter()
        .flat_map(|text| text.split(|letter: char| letter.is_whitespace() || "@.,-_+".contains(letter)));
    words
        .filter(|word| word.chars().count() >= 4 && !DOMAINS.contains(&word.to_lowercase().as_str()))
        .find(|word| password.contains(&word.to_lowercase()))
}

/// Parts of addresses that say nothing of a person.
const DOMAINS: &[&str] = &["mail", "example", "test", "info", "gmail", "outlook"];

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "violet tractor sings at noon";

    #[tokio::test]
    async fn a_hash_is_argon2id_of_19_mib_and_knows_its_password() {
        let hash = hash(GOOD).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(verify(GOOD, Some(&hash)).await, Ok(true));
        assert_eq!(verify("violet tractor sings at two", Some(&hash)).await, Ok(false));
        assert_eq!(verify(GOOD, None).await, Ok(false));
        assert_eq!(verify(&GOOD.repeat(20), Some(&hash)).await, Ok(false));
    }

    #[tokio::test]
    async fn an_unknown_person_costs_the_same_work() {
        let hash = hash(GOOD).await.unwrap();
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..7 {
            for (slot, stored) in times.iter_mut().zip([Some(hash.as_str()), None]) {
                let begun = std::time::Instant::now();
                verify("wrong password", stored).await.unwrap();
                slot.push(begun.elapsed());
            }
        }
        let [known, unknown] = times.map(|mut times| {
            times.sort();
            times[0]
        });
        // Without the dummy hash the second takes microseconds.
        assert!(unknown * 2 > known && known * 2 > unknown, "{known:?} {unknown:?}");
    }

    #[test]
    fn a_password_is_refused_with_a_remedy() {
        let known = ["ines@kestrel.example", "Ines Okafor", "Kestrel Outdoor"];
        for (password, part) in [
            ("", "Choose a password"),
            ("short", "Yours had 5"),
            ("aaaaaaaaaaaaaaaa", "easy to guess"),
            ("password1234", "common"),
            ("my kestrel flies high", "Leave out"),
            ("OKAFOR rides tandem", "Leave out"),
        ] {
            let fault = fault(password, &known).unwrap();
            assert!(fault.contains(part), "{password}: {fault}");
        }
        assert!(fault(&"x1 ".repeat(67), &known).unwrap().contains("shorter"));
        assert_eq!(fault(GOOD, &known), None);
    }
}
