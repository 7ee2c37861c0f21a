//! Times and zones from the IANA database.

use axum::Json;
use axum::extract::Query;
use domain::clock::Clock;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde::{Deserialize, Serialize};

use super::Problem;

#[derive(Serialize)]
pub(super) struct Items<T> {
    items: Vec<T>,
}

impl<T> Items<T> {
    pub(super) fn new(items: Vec<T>) -> Json<Self> {
        Json(Self { items })
    }
}

#[derive(Deserialize)]
pub(super) struct ZoneFilter {
    #[serde(default)]
    prefix: String,
    limit: Option<usize>,
}

pub(super) async fn zones(Query(filter): Query<ZoneFilter>) -> Json<Items<String>> {
    let limit = filter.limit.unwrap_or(100).clamp(1, 1000);
    let mut names: Vec<_> = jiff::tz::db().available().map(|name| name.to_string()).collect();
    names.sort();
    names.retain(|name| name.starts_with(&filter.prefix));
    names.truncate(limit);
    Items::new(names)
}

#[derive(Serialize)]
pub(super) struct LocalTime {
    zone: String,
    local: String,
    offset: String,
    abbreviation: String,
    dst: bool,
    instant: String,
}

fn zone(name: &str) -> Result<TimeZone, Problem> {
    TimeZone::get(name).map_err(|_| Problem::bad_request(format!("{name} is not a time zone of the IANA database")))
}

fn instant(at: Option<&str>) -> Result<Timestamp, Problem> {
    match at {
        None => Ok(Clock::system().now().to_jiff()),
        Some(text) => text
            .parse()
            .map_err(|_| Problem::bad_request(format!("{text} is not a time of RFC 3339"))),
    }
}

fn local(name: &str, zoned: &Zoned) -> LocalTime {
    let info = zoned.time_zone().to_offset_info(zoned.timestamp());
    LocalTime {
        zone: name.to_owned(),
        local: zoned.datetime().to_string(),
        offset: zoned.strftime("%:z").to_string(),
        abbreviation: info.abbreviation().to_owned(),
        dst: info.dst().is_dst(),
        instant: zoned.timestamp().to_string(),
    }
}

#[derive(Deserialize)]
pub(super) struct TimeQuery {
    zone: String,
    at: Option<String>,
    limit: Option<usize>,
}

pub(super) async fn time(Query(query): Query<TimeQuery>) -> Result<Json<LocalTime>, Problem> {
    let zoned = instant(query.at.as_deref())?.to_zoned(zone(&query.zone)?);
    Ok(Json(local(&query.zone, &zoned)))
}

pub(super) async fn transitions(Query(query): Query<TimeQuery>) -> Result<Json<Items<LocalTime>>, Problem> {
    let zone = zone(&query.zone)?;
    let from = instant(query.at.as_deref())?;
    let changes = zone.following(from).take(query.limit.unwrap_or(4).clamp(1, 50));
    Ok(Items::new(
        changes
            .map(|change| local(&query.zone, &change.timestamp().to_zoned(zone.clone())))
            .collect(),
    ))
}

#[derive(Deserialize)]
pub(super) struct Conversion {
    at: Option<String>,
    from: String,
    to: String,
}

#[derive(Serialize)]
pub(super) struct Converted {
    from: LocalTime,
    to: LocalTime,
}

pub(super) async fn convert(Query(query): Query<Conversion>) -> Result<Json<Converted>, Problem> {
    let at = instant(query.at.as_deref())?;
    Ok(Json(Converted {
        from: local(&query.from, &at.to_zoned(zone(&query.from)?)),
        to: local(&query.to, &at.to_zoned(zone(&query.to)?)),
    }))
}
