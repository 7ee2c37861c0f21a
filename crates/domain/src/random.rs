//! The one place that asks the operating system for randomness.

/// `N` bytes from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness to give: nothing secret may be made then, so the process must not go on.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0_u8; N];
    if let Err(error) = getrandom::fill(&mut out) {
        panic!("the operating system gave no randomness: {error}");
    }
    out
}
