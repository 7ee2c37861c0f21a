//! The gateway's durable usage log: segments on disk.
