use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn anchor(local: &str, name: &str) -> Anchor {
    Anchor {
        local: local.parse().unwrap(),
        zone: zone(name),
    }
}

fn starts(anchor: &Anchor, every: &str, numbers: std::ops::Range<i64>) -> Vec<String> {
    let every = every.parse().unwrap();
    let start = |k| period(anchor, every, k).unwrap().unwrap().start.to_string();
    numbers
        .map(start)
        .map(|text| text.trim_end_matches("T00:00:00.000Z").to_owned())
        .collect()
}

#[test]
fn row_30_an_anchor_on_the_31st_comes_back_to_the_31st() {
    let expected = [
        "2027-01-31",
        "2027-02-28",
        "2027-03-31",
        "2027-04-30",
        "2027-05-31",
        "2027-06-30",
    ];
    assert_eq!(starts(&anchor("2027-01-31T00:00:00", "UTC"), "month", 0..6), expected);
}

#[test]
fn row_31_anchors_at_the_end_of_months_and_on_leap_days() {
    assert_eq!(
        starts(&anchor("2028-01-31T00:00:00", "UTC"), "month", 1..3),
        ["2028-02-29", "2028-03-31"]
    );
    assert_eq!(
        starts(&anchor("2027-01-30T00:00:00", "UTC"), "month", 1..3),
        ["2027-02-28", "2027-03-30"]
    );
    let leap = starts(&anchor("2028-02-29T00:00:00", "UTC"), "year", 1..5);
    assert_eq!(leap, ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]);
}

#[test]
fn row_33_the_month_of_the_change_to_summer_time_is_an_hour_shorter() {
    let march = period_at(
        &anchor("2026-01-01T00:00:00", "America/New_York"),
        Every::MONTH,
        at("2026-03-16T04:00:00Z"),
    );
    assert_eq!(march.unwrap().length_ms(), 2_674_800_000);
}

#[test]
fn row_34_each_millisecond_around_a_change_of_the_clocks_lies_in_one_period() {
    let new_york = anchor("2026-01-01T00:00:00", "America/New_York");
    let find = |text| period_at(&new_york, Every::MONTH, at(text)).unwrap();
    let november = find("2026-11-01T04:00:00Z");
    assert_eq!(
        (november.start, november.end),
        (at("2026-11-01T04:00:00Z"), at("2026-12-01T05:00:00Z"))
    );
    assert_eq!(november.length_ms(), 721 * 3_600_000);
    assert_eq!(find("2026-11-01T03:59:59.999Z").k, november.k - 1);
    assert_eq!(find("2026-12-01T04:59:59.999Z"), november);
    assert_eq!(find("2026-12-01T05:00:00Z").k, november.k + 1);
}

#[test]
fn row_35_zones_of_half_and_quarter_hours() {
    let start = |name| {
        let found = period_at(
            &anchor("2026-01-01T00:00:00", name),
            Every::MONTH,
            at("2026-05-15T00:00:00Z"),
        );
        found.unwrap().start
    };
    assert_eq!(start("Asia/Kolkata"), at("2026-04-30T18:30:00Z"));
    assert_eq!(start("Asia/Kathmandu"), at("2026-04-30T18:15:00Z"));
    let kolkata = anchor("2026-01-01T00:00:00", "Asia/Kolkata");
    let april = period_at(&kolkata, Every::MONTH, at("2026-04-30T18:29:59Z")).unwrap();
    assert_eq!(april.end, at("2026-04-30T18:30:00Z"));
}

#[test]
fn row_36_a_new_zone_takes_effect_at_the_next_boundary_without_a_gap() {
    let schedule = Schedule::new(anchor("2026-01-01T00:00:00", "UTC"), Every::MONTH)
        .with_zone_change(at("2026-03-10T12:00:00Z"), zone("America/New_York"));
    let of = |text| {
        let found = schedule.period_at(at(text)).unwrap();
        (found.k, found.start, found.end)
    };
    assert_eq!(
        of("2026-03-20T00:00:00Z"),
        (2, at("2026-03-01T00:00:00Z"), at("2026-04-01T00:00:00Z"))
    );
    assert_eq!(
        of("2026-04-01T00:00:00Z"),
        (3, at("2026-04-01T00:00:00Z"), at("2026-05-01T04:00:00Z"))
    );
    assert_eq!(of("2026-05-01T03:59:59.999Z").0, 3);
    assert_eq!(
        of("2026-05-01T04:00:00Z"),
        (4, at("2026-05-01T04:00:00Z"), at("2026-06-01T04:00:00Z"))
    );
    assert_eq!(
        (schedule.zone_of(2).unwrap(), schedule.zone_of(3).unwrap()),
        (Zone::UTC, zone("America/New_York"))
    );
}

#[test]
fn row_37_a_time_that_clocks_skip_is_moved_to_the_later_side() {
    let early = anchor("2026-01-08T02:30:00", "America/New_York");
    assert_eq!(
        period(&early, Every::MONTH, 2).unwrap().unwrap().start,
        at("2026-03-08T07:30:00Z")
    );
    let twice = anchor("2026-10-01T01:30:00", "America/New_York");
    assert_eq!(
        period(&twice, Every::MONTH, 1).unwrap().unwrap().start,
        at("2026-11-01T05:30:00Z")
    );
}

#[test]
fn row_28_a_first_period_after_a_trial_starts_where_the_trial_ends() {
    let trial_end = at("2026-01-10T00:00:00Z").plus_millis(14 * 86_400_000);
    let first = period(&Anchor::at(trial_end, Zone::UTC), Every::MONTH, 0)
        .unwrap()
        .unwrap();
    assert_eq!(
        (first.start, first.end),
        (at("2026-01-24T00:00:00Z"), at("2026-02-24T00:00:00Z"))
    );
}

#[test]
fn anchors_are_the_start_the_calendar_or_an_instant() {
    let start = at("2026-08-19T10:15:30.250Z");
    let resolve = |choice: &str, every: &str| {
        let every = every.parse().unwrap();
        Anchor::resolve(choice.parse().unwrap(), start, zone("Europe/Berlin"), every)
            .local
            .to_string()
    };
    assert_eq!(resolve("start", "month"), "2026-08-19T12:15:30.25");
    assert_eq!(resolve("calendar", "month"), "2026-08-01T00:00:00");
    assert_eq!(resolve("calendar", "3 months"), "2026-01-01T00:00:00");
    assert_eq!(resolve("calendar", "year"), "2026-01-01T00:00:00");
    assert_eq!(resolve("calendar", "week"), "2026-08-17T00:00:00");
    assert_eq!(resolve("calendar", "day"), "2026-08-19T00:00:00");
    assert_eq!(resolve("2026-09-01T00:00:00+02:00", "month"), "2026-09-01T00:00:00");
    assert!("end".parse::<AnchorChoice>().is_err());
    let anchored = Anchor::resolve(AnchorChoice::Start, start, zone("Europe/Berlin"), Every::MONTH);
    assert_eq!(period_at(&anchored, Every::MONTH, start).unwrap().start, start);
}

#[test]
fn a_year_is_twelve_of_its_months_through_a_change_of_the_zone() {
    let schedule = Schedule::new(anchor("2026-01-31T00:00:00", "UTC"), Every::MONTH)
        .with_zone_change(at("2026-03-10T12:00:00Z"), zone("America/New_York"));
    let year = schedule.longer_at(Every::YEAR, at("2026-12-31T23:00:00Z")).unwrap();
    assert_eq!(
        (year.k, year.start, year.end),
        (0, at("2026-01-31T00:00:00Z"), at("2027-01-31T05:00:00Z"))
    );
    assert_eq!(schedule.period_at(at("2027-01-31T04:59:59.999Z")).unwrap().k, 11);
    assert_eq!(schedule.longer(Every::YEAR, 1).unwrap().unwrap().start, year.end);
    let week = "week".parse().unwrap();
    assert_eq!(
        schedule.longer(week, 0),
        Err(PeriodError::NotAMultiple {
            whole: week,
            part: Every::MONTH
        })
    );
}

#[test]
fn a_day_that_a_zone_left_out_is_no_period() {
    let apia = anchor("2011-12-28T00:00:00", "Pacific/Apia");
    let day = "day".parse().unwrap();
    let before = period(&apia, day, 1).unwrap().unwrap();
    assert_eq!(period(&apia, day, 2), Ok(None));
    let after = period(&apia, day, 3).unwrap().unwrap();
    assert_eq!(before.end, after.start);
    assert_eq!(period_at(&apia, day, after.start), Ok(after));
}

#[test]
fn far_times_are_errors_and_never_panics() {
    let anchor = anchor("2026-01-31T00:00:00", "UTC");
    for k in [
        i64::MIN,
        i64::MIN + 1,
        -1_000_000_000,
        1_000_000_000,
        i64::MAX - 1,
        i64::MAX,
    ] {
        assert_eq!(period(&anchor, Every::MONTH, k), Err(PeriodError::OutOfRange), "{k}");
    }
    let schedule = Schedule::new(anchor, Every::MONTH);
    assert!(schedule.longer(Every::YEAR, i64::MAX).is_err());
    for instant in [Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MAX)] {
        let _ = schedule.period_at(instant);
        let _ = schedule.clone().with_zone_change(instant, zone("Asia/Tokyo")).period(0);
    }
}

#[test]
fn a_schedule_and_its_parts_read_back_from_json() {
    let schedule = Schedule::new(anchor("2026-01-31T00:00:00.25", "UTC"), Every::MONTH)
        .with_zone_change(at("2026-03-10T12:00:00Z"), zone("America/New_York"));
    let json = serde_json::to_string(&schedule).unwrap();
    assert!(
        json.contains(r#""local":"2026-01-31T00:00:00.25","zone":"UTC""#),
        "{json}"
    );
    assert_eq!(serde_json::from_str::<Schedule>(&json).unwrap(), schedule);
    for name in [
        "",
        "Mars/Olympus",
        "EST5EDT4,M3.2.0,M11.1.0",
        "../etc/passwd",
        "Etc/Unknown",
    ] {
        assert!(name.parse::<Zone>().is_err(), "{name}");
    }
}

fn any_zone() -> impl Strategy<Value = Zone> {
    let names = [
        "UTC",
        "America/New_York",
        "America/St_Johns",
        "America/Sao_Paulo",
        "Europe/Berlin",
        "Europe/London",
        "Africa/Casablanca",
        "Africa/Cairo",
        "Asia/Kathmandu",
        "Asia/Tehran",
        "Asia/Kolkata",
        "Australia/Lord_Howe",
        "Australia/Sydney",
        "Pacific/Apia",
        "Pacific/Kiritimati",
        "Pacific/Pago_Pago",
        "Pacific/Chatham",
    ];
    proptest::sample::select(names.map(zone).to_vec())
}

fn any_every() -> impl Strategy<Value = Every> {
    proptest::sample::select(
        [
            "day", "week", "month", "year", "2 weeks", "3 months", "5 months", "90 days",
        ]
        .to_vec(),
    )
    .prop_map(|text| text.parse().unwrap())
}

/// Instants of the years 2000 to 2040.
fn any_instant() -> impl Strategy<Value = Timestamp> {
    (946_684_800_000_i64..2_208_988_800_000).prop_map(Timestamp::from_millis)
}

/// Walks from period to period over 50 years and checks that each begins where the one before it ended, that it is
/// not empty, and that its first and last instant are found in it.
fn check_walk(schedule: &Schedule, from: Timestamp) -> Result<(), TestCaseError> {
    let until = from.plus_millis(50 * 365 * 86_400_000);
    let mut reached = schedule.period_at(from).unwrap();
    prop_assert!(reached.contains(from));
    let longest = 2 * 86_400_000 + 24 * 3_600_000 + reached.length_ms().max(366 * 86_400_000);
    while reached.end < until {
        let next = schedule.period_at(reached.end).unwrap();
        prop_assert_eq!(next.start, reached.end);
        prop_assert!(next.start < next.end && next.k > reached.k && next.length_ms() <= longest);
        prop_assert_eq!(schedule.period(next.k).unwrap(), Some(next));
        prop_assert_eq!(schedule.period_at(next.end.plus_millis(-1)).unwrap(), next);
        for skipped in reached.k + 1..next.k {
            prop_assert_eq!(schedule.period(skipped).unwrap(), None);
        }
        reached = next;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn periods_follow_each_other_without_gap_overlap_or_emptiness(
        zone in any_zone(), every in any_every(), start in any_instant(), from in any_instant(),
    ) {
        check_walk(&Schedule::new(Anchor::at(start, zone), every), from)?;
    }

    #[test]
    fn changes_of_the_zone_leave_no_gap_and_no_overlap(
        zones in proptest::collection::vec((any_instant(), any_zone()), 1..4),
        first in any_zone(), every in any_every(), start in any_instant(),
    ) {
        let schedule = Schedule::new(Anchor::at(start, first), every);
        let schedule = zones.into_iter().fold(schedule, |schedule, (at, zone)| schedule.with_zone_change(at, zone));
        check_walk(&schedule, start)?;
    }
}
