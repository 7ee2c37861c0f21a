//! Old evidence goes.

use std::sync::atomic::Ordering;

use domain::clock::Timestamp;

use super::ClickHouse;
use super::rows::{USE, bucket};
use super::sql::Sql;
use crate::error::Error;

const TABLES: [(&str, &str); 2] = [("fact", "event_time"), ("sample", "at")];

impl ClickHouse {
    /// Whole days go as partitions, which costs nothing; what is left of the last one is masked.
    pub(crate) async fn purge(&self, before: Timestamp) -> Result<u64, Error> {
        let mut deleted = 0;
        for (table, column) in TABLES {
            let mut old = Sql::new(format!("{column} < "));
            old.time(before);
            deleted += self.purge_table(table, old, before).await?;
        }
        let mut minutes = Sql::new(format!("kind = '{USE}' AND level = 60 AND bucket <= "));
        minutes
            .number(bucket(60, before.as_millis()))
            .push(" AND time < ")
            .time(before);
        deleted += self.delete("rollup", minutes).await?;
        self.keep_from(before).await?;
        Ok(deleted)
    }

    async fn purge_table(&self, table: &str, old: Sql, before: Timestamp) -> Result<u64, Error> {
        let mut sql = Sql::new(format!(
            "SELECT partition_id, sum(rows) FROM system.parts
             WHERE database = currentDatabase() AND table = '{table}' AND active
                 AND toUInt32OrZero(partition_id) < toYYYYMMDD("
        ));
        sql.time(before).push(") GROUP BY partition_id ORDER BY partition_id");
        let partitions: Vec<(String, u64)> = self.fetch(sql).await?;
        let mut deleted = 0;
        for (partition, rows) in partitions {
            let mut sql = Sql::new(format!("ALTER TABLE {table} DROP PARTITION ID "));
            sql.text(partition);
            self.change(&self.writes, sql).await?;
            deleted += rows;
        }
        Ok(deleted + self.delete(table, old).await?)
    }

    async fn delete(&self, table: &str, which: Sql) -> Result<u64, Error> {
        let rows: Vec<u64> = self
            .fetch(which.after(&format!("SELECT count() FROM {table} WHERE ")))
            .await?;
        let rows = rows.first().copied().unwrap_or(0);
        if rows > 0 {
            let sql = which.after(&format!("DELETE FROM {table} WHERE "));
            self.change(&self.writes, sql).await?;
        }
        Ok(rows)
    }

    /// Tells the tables to delete by themselves what a purge would, and nothing that this one kept.
    async fn keep_from(&self, before: Timestamp) -> Result<(), Error> {
        let mut sql = Sql::new("SELECT toUInt32(greatest(1 + dateDiff('day', ");
        sql.time(before).push(", now('UTC')), ");
        sql.number(self.settings.evidence_days).push("))");
        let days = self.fetch::<u32>(sql).await?.first().copied().unwrap_or(0);
        if days <= self.kept_days.load(Ordering::Relaxed) {
            return Ok(());
        }
        let client = self.writes.clone().with_setting("materialize_ttl_after_modify", "0");
        let interval = format!("+ INTERVAL {days} DAY");
        for (table, ttl) in [
            ("fact", format!("toDateTime(event_time) {interval}")),
            ("sample", format!("toDateTime(at) {interval}")),
            (
                "rollup",
                format!("toDateTime(time) {interval} DELETE WHERE (kind = 'use' AND level = 60) OR kind = 'batch'"),
            ),
        ] {
            let sql = Sql::new(format!("ALTER TABLE {table} MODIFY TTL {ttl}"));
            self.change(&client, sql).await?;
        }
        self.kept_days.store(days, Ordering::Relaxed);
        Ok(())
    }
}
