//! Currencies, exact decimals and amounts of money.
