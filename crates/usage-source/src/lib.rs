//! Where metering reads usage from.
