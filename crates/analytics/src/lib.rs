//! Raw facts, roll-ups and histograms behind charts and drill-downs.
