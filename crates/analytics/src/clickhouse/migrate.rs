//! The tables of this version, made from `migrations/clickhouse`.

use super::ClickHouse;
use super::sql::Sql;
use crate::error::Error;
use crate::settings::Settings;

const MIGRATIONS: &[&str] = &[include_str!(
    "../../../../migrations/clickhouse/analytics/0001_facts.sql"
)];

/// Brings the database to this version's layout. Processes may do it at once: every statement is right twice.
pub(super) async fn migrate(engine: &ClickHouse) -> Result<(), Error> {
    let found = layout(engine).await?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(Error::Newer { found, known });
    }
    if found == 0 {
        make_database(engine).await?;
    }
    for (index, text) in MIGRATIONS.iter().enumerate().skip(usize::try_from(found).unwrap_or(0)) {
        for statement in statements(&fill(text, &engine.settings)) {
            engine.change(&engine.writes, Sql::new(statement)).await?;
        }
        let done = format!("INSERT INTO layout (version) VALUES ({})", index + 1);
        engine.change(&engine.writes, Sql::new(done)).await?;
    }
    Ok(())
}

/// The layout of the database; 0 where there is none. Asks nothing that a user without rights to make tables may not.
async fn layout(engine: &ClickHouse) -> Result<i64, Error> {
    let database = &engine.server.database;
    let there = format!("SELECT count() FROM system.tables WHERE database = '{database}' AND name = 'layout'");
    // `default` is the database that every server has, and none is named before ours exists.
    let outside = engine.writes.clone().with_database("default");
    let there: Vec<u64> = engine.fetch_from(&outside, Sql::new(there)).await?;
    if there.first().is_none_or(|count| *count == 0) {
        return Ok(0);
    }
    let sql = Sql::new("SELECT max(version) FROM layout");
    let found: Vec<u32> = engine.fetch_from(&engine.writes, sql).await?;
    Ok(i64::from(found.first().copied().unwrap_or(0)))
}

async fn make_database(engine: &ClickHouse) -> Result<(), Error> {
    let database = &engine.server.database;
    let outside = engine.writes.clone().with_database("default");
    let there = format!("SELECT count() FROM system.databases WHERE name = '{database}'");
    let there: Vec<u64> = engine.fetch_from(&outside, Sql::new(there)).await?;
    if there.first().is_none_or(|count| *count == 0) {
        let on_cluster = on_cluster(&engine.settings);
        let sql = Sql::new(format!("CREATE DATABASE IF NOT EXISTS {database} {on_cluster}"));
        engine.change(&outside, sql).await?;
    }
    let layout = fill(
        "CREATE TABLE IF NOT EXISTS layout {on_cluster} (version UInt32) ENGINE = {merge} ORDER BY version",
        &engine.settings,
    );
    engine.change(&engine.writes, Sql::new(layout)).await
}

pub(super) fn on_cluster(settings: &Settings) -> String {
    let cluster = settings.cluster.as_ref();
    cluster.map(|name| format!("ON CLUSTER '{name}'")).unwrap_or_default()
}

/// Statements without comments, which are not for the server.
fn statements(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.starts_with("--"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let parts = text
        .split(";\n")
        .map(|part| part.trim().trim_end_matches(';').to_owned());
    parts.filter(|part| !part.is_empty()).collect()
}

/// Fills in the words in braces.
fn fill(text: &str, settings: &Settings) -> String {
    let replicated = settings.cluster.is_some();
    let engine = |name: &str| format!("{}{name}", if replicated { "Replicated" } else { "" });
    let window = |blocks: u32| {
        if replicated {
            format!("replicated_deduplication_window = {blocks}, replicated_deduplication_window_seconds = 604800")
        } else {
            format!("non_replicated_deduplication_window = {blocks}")
        }
    };
    let mut text = text.to_owned();
    for (word, value) in [
        ("{on_cluster}", on_cluster(settings)),
        ("{merge}", engine("MergeTree")),
        ("{replacing}", engine("ReplacingMergeTree")),
        ("{aggregating}", engine("AggregatingMergeTree")),
        ("{never_drop}", window(0)),
        ("{drop_repeated}", window(settings.remembered)),
        ("{days}", settings.evidence_days.to_string()),
    ] {
        text = text.replace(word, &value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_in_braces_is_filled_in_on_one_server_and_on_a_cluster() {
        for cluster in [None, Some("main".to_owned())] {
            let settings = Settings {
                cluster: cluster.clone(),
                ..Settings::default()
            };
            let statements: Vec<_> = MIGRATIONS
                .iter()
                .flat_map(|text| statements(&fill(text, &settings)))
                .collect();
            assert_eq!(statements.len(), 3);
            for statement in &statements {
                assert!(!statement.contains(['{', '}', '?', ';']), "{statement}");
                assert!(statement.starts_with("CREATE TABLE IF NOT EXISTS"), "{statement}");
                assert_eq!(statement.contains("ON CLUSTER 'main'"), cluster.is_some());
                assert_eq!(statement.contains("= Replicated"), cluster.is_some());
                assert_eq!(
                    statement.contains(" replicated_deduplication_window ="),
                    cluster.is_some()
                );
            }
        }
    }
}
