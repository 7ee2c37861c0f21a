//! Periods, rating runs, invoices, credit notes and payments.
