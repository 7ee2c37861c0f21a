/// Why nothing could be compared. Nothing is changed by a comparison, so it can be tried again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Facts and roll-ups.
    #[error(transparent)]
    Analytics(#[from] analytics::Error),
}
