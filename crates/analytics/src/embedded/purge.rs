//! Old evidence goes.

use domain::clock::Timestamp;

use super::Embedded;
use crate::error::Error;

const ROWS_A_TRANSACTION: i64 = 5_000;

impl Embedded {
    pub(crate) async fn purge(&self, before: Timestamp) -> Result<u64, Error> {
        let mut deleted = 0;
        for sql in [
            "DELETE FROM fact WHERE (producer, seq) IN
                 (SELECT producer, seq FROM fact WHERE event_time < $1 ORDER BY event_time LIMIT $2)",
            "DELETE FROM sample WHERE (producer, seq, position) IN
                 (SELECT producer, seq, position FROM sample WHERE at < $1 LIMIT $2)",
            "DELETE FROM rollup WHERE (level, time, dims) IN
                 (SELECT level, time, dims FROM rollup WHERE level = 60 AND time < $1 LIMIT $2)",
            "DELETE FROM rollup_latency WHERE (level, time, dims, bucket) IN
                 (SELECT level, time, dims, bucket FROM rollup_latency WHERE level = 60 AND time < $1 LIMIT $2)",
            "DELETE FROM rollup_quantity WHERE (level, time, dims, meter) IN
                 (SELECT level, time, dims, meter FROM rollup_quantity WHERE level = 60 AND time < $1 LIMIT $2)",
        ] {
            loop {
                let query = sqlx::query(sql).bind(before.as_millis()).bind(ROWS_A_TRANSACTION);
                let rows = query.execute(&self.writer).await?.rows_affected();
                deleted += rows;
                if rows == 0 {
                    break;
                }
            }
        }
        Ok(deleted)
    }
}
