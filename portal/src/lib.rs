//! The control plane: Admin API, pages, snapshots.
