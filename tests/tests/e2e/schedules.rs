//! A schedule means to us what it means to Kubernetes: the verdict and the next runs of 20,000 random ones are those of
//! its parser, and the API server refuses what we refuse.
//!
//! `SCHEDULES_SEED=n cargo e2e schedules` takes others.

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::CronJob;
use kube::api::{Api, PostParams};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use segment_core::segment::schedule::{Schedule, next_after, time_zone};
use segment_tests::tools::Tool;
use segment_tests::{fleet, run};
use serde_json::{Value, json};

/// Random schedules that are compared with the parser.
const RANDOM: usize = 20_000;
/// Those that the API server is asked about.
const ASKED: usize = 500;
/// Next runs that are compared of each.
const RUNS: usize = 3;

/// Zones whose clocks change, but neither at midnight (robfig/cron then leaves the day out, or takes the day before for
/// it) nor by parts of an hour (there it even answers with times before the one that was asked for).
const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Denver",
    "Asia/Kathmandu",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Australia/Adelaide",
    "Pacific/Apia",
    "Europe/Lisbon",
    "Africa/Johannesburg",
];
const RANGES: [(u32, u32); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];
const MACROS: [&str; 9] = [
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
    "@reboot",
    "@every ",
];
const NAMES: [&str; 12] = [
    "mon", "TUE", "Wed", "sun", "SAT", "jan", "DEC", "May", "monday", "june", "mo", "THU",
];
/// What people write because another cron takes it, and what nobody should.
const ODD: [&str; 34] = [
    "7",
    "L",
    "LW",
    "15W",
    "5L",
    "5#1",
    "1#5",
    "H",
    "H/5",
    "60",
    "24",
    "32",
    "13",
    "0",
    "-1",
    "5-",
    "-",
    "1--2",
    "5-1",
    "*/0",
    "*/",
    "/5",
    "**",
    "1/2/3",
    "1-2-3",
    "*-x/2",
    "?-9",
    "+3",
    "007",
    "0x1",
    "1.5",
    ",",
    "",
    "99999999999999999999",
];
const ALPHABET: &str = " \t\n,-/*?#@+.=LWHTZ0123456789aeFRi\u{a0}\u{85}\u{2003}é٣";

fn seed() -> Result<u64> {
    let seed = match std::env::var("SCHEDULES_SEED") {
        Ok(text) => text.parse().context("SCHEDULES_SEED is a number")?,
        Err(_) => 1,
    };
    println!("seed {seed}");
    Ok(seed)
}

fn value(random: &mut StdRng, (low, high): (u32, u32)) -> String {
    random.random_range(low..=high).to_string()
}

/// Mostly legal.
fn part(random: &mut StdRng, range: (u32, u32)) -> String {
    let (low, high) = range;
    let step = random.random_range(1..=high + 2);
    match random.random_range(0..11) {
        0..=2 => value(random, range),
        3 => "*".to_owned(),
        4 => format!("*/{step}"),
        5 => format!("{}/{step}", value(random, range)),
        6 | 7 => {
            let (a, b) = (
                random.random_range(low..=high),
                random.random_range(low..=high),
            );
            format!("{}-{}", a.min(b), a.max(b))
        }
        8 => format!("{low}-{high}/{step}"),
        9 => "?".to_owned(),
        _ => NAMES.choose(random).copied().unwrap_or_default().to_owned(),
    }
}

fn fields(random: &mut StdRng) -> Vec<String> {
    let stars = [0.1, 0.2, 0.5, 0.6, 0.5];
    RANGES
        .into_iter()
        .zip(stars)
        .map(|(range, star)| {
            if random.random_bool(star) {
                return "*".to_owned();
            }
            let mut parts = vec![part(random, range)];
            while random.random_bool(0.3) {
                parts.push(part(random, range));
            }
            parts.join(",")
        })
        .collect()
}

fn schedule(random: &mut StdRng) -> String {
    if random.random_bool(0.06) {
        let mut text = MACROS
            .choose(random)
            .copied()
            .unwrap_or_default()
            .to_owned();
        for _ in 0..random.random_range(0..3) {
            let unit = ["h", "m", "s", "ms", "us", "µs", "ns", "d", ""].choose(random);
            let number = ["1", "90", "1.5", ".5", "0", "-3", "100000", "9223372036"].choose(random);
            text += number.copied().unwrap_or_default();
            text += unit.copied().unwrap_or_default();
        }
        return text;
    }
    let mut fields = fields(random);
    if random.random_bool(0.2) {
        let at = random.random_range(0..fields.len());
        fields[at] = String::from(ODD.choose(random).copied().unwrap_or_default());
    }
    if random.random_bool(0.03) {
        fields.push("*".to_owned());
    }
    if random.random_bool(0.03) {
        fields.remove(random.random_range(0..fields.len()));
    }
    let blank = [" ", " ", " ", " ", "  ", "\t", " \n"].choose(random);
    let mut text = fields.join(blank.copied().unwrap_or(" "));
    if random.random_bool(0.02) {
        text = format!(
            "{}{text}",
            ["TZ=UTC ", "CRON_TZ=Europe/Berlin ", " "]
                .choose(random)
                .unwrap_or(&"")
        );
    }
    if random.random_bool(0.15) {
        text = changed(random, &text);
    }
    text
}

/// With some characters put in, or taken out.
fn changed(random: &mut StdRng, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let alphabet: Vec<char> = ALPHABET.chars().collect();
    for _ in 0..random.random_range(1..4) {
        let at = random.random_range(0..=chars.len());
        if random.random_bool(0.6) {
            chars.insert(at, alphabet.choose(random).copied().unwrap_or(' '));
        } else if at < chars.len() {
            chars.remove(at);
        }
    }
    chars.into_iter().collect()
}

/// Near a change of clocks half of the time.
fn after(random: &mut StdRng, zone: &TimeZone) -> Result<Timestamp> {
    let begin: Timestamp = "2024-01-01T00:00:00Z".parse()?;
    let some = begin + SignedDuration::from_secs(random.random_range(0..6 * 365 * 86_400));
    let change = zone.following(some).next();
    Ok(match change {
        Some(change) if random.random_bool(0.5) => {
            change.timestamp() + SignedDuration::from_secs(random.random_range(-5 * 3600..3 * 3600))
        }
        _ => some,
    })
}

#[test]
fn random_schedules_mean_to_us_what_they_mean_to_kubernetes() -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed()?);
    let mut questions = Vec::with_capacity(RANDOM);
    let mut input = String::new();
    for _ in 0..RANDOM {
        let zone = ZONES.choose(&mut random).copied().unwrap_or("UTC");
        let known = time_zone(zone).map_err(anyhow::Error::msg)?;
        let (schedule, after) = (schedule(&mut random), after(&mut random, &known)?);
        let question = json!({"schedule": schedule, "zone": zone, "after": after, "count": RUNS});
        input.push_str(&question.to_string());
        input.push('\n');
        questions.push((schedule, zone, after));
    }
    let answers = run(async {
        Tool::control_plane()?
            .run_with(&["cron"], &input)
            .await?
            .ok()
    })?;

    let (mut valid, mut differences, mut compared) = (0, Vec::new(), 0);
    for ((schedule, zone, after), answer) in questions.iter().zip(answers.lines()) {
        let theirs: Value = serde_json::from_str(answer)?;
        let ours = json!({
            "valid": Schedule::parse(schedule).is_ok(),
            "next": next(schedule, zone, *after),
        });
        compared += 1;
        valid += usize::from(theirs["valid"] == true);
        if ours != theirs {
            differences.push(format!(
                "{schedule:?} in {zone} after {after}: ours {ours}, Kubernetes' {theirs}"
            ));
        }
    }
    println!(
        "{compared} schedules, {valid} of them valid, {} differences",
        differences.len()
    );
    ensure!(compared == RANDOM, "{compared} answers");
    // Else the comparison would be one of refusals only.
    ensure!(
        valid > RANDOM / 3 && valid < RANDOM * 9 / 10,
        "{valid} are valid"
    );
    differences.truncate(20);
    ensure!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}

fn next(schedule: &str, zone: &str, after: Timestamp) -> Vec<Timestamp> {
    let mut last = after;
    std::iter::from_fn(|| {
        last = next_after(schedule, Some(zone), last)?;
        Some(last)
    })
    .take(RUNS)
    .collect()
}

#[test]
fn the_api_server_refuses_the_schedules_that_we_refuse() -> Result<()> {
    run(async {
        let spokes = fleet::spokes().await?;
        let client = spokes.first().context("a spoke")?.client().await?;
        let cron_jobs: Api<CronJob> = Api::namespaced(client, "default");
        let mut random = StdRng::seed_from_u64(seed()?);
        let schedules: Vec<String> = (0..ASKED).map(|_| schedule(&mut random)).collect();
        let refused: Vec<bool> = futures::stream::iter(&schedules)
            .map(|schedule| refuses(&cron_jobs, schedule))
            .buffered(8)
            .try_collect()
            .await?;
        let differences: Vec<&String> = schedules
            .iter()
            .zip(&refused)
            .filter(|(schedule, refused)| Schedule::parse(schedule).is_err() != **refused)
            .map(|(schedule, _)| schedule)
            .collect();
        let count = refused.iter().filter(|refused| **refused).count();
        println!(
            "{ASKED} schedules, {count} of them refused, {} differences",
            differences.len()
        );
        ensure!(
            count > ASKED / 10 && count < ASKED * 9 / 10,
            "{count} are refused"
        );
        ensure!(
            differences.is_empty(),
            "the API server differs on {differences:?}"
        );
        Ok(())
    })
}

/// Asks an API server, without writing.
async fn refuses(cron_jobs: &Api<CronJob>, schedule: &str) -> Result<bool> {
    let cron_job = serde_json::from_value(json!({
        "metadata": {"generateName": "schedule-"},
        "spec": {
            "schedule": schedule,
            "jobTemplate": {"spec": {"template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "a", "image": "a"}],
            }}}},
        },
    }))?;
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    match cron_jobs.create(&dry_run, &cron_job).await {
        Ok(_) => Ok(false),
        Err(kube::Error::Api(status)) if status.reason == "Invalid" => {
            ensure!(
                status.message.contains("spec.schedule"),
                "{schedule:?}: {}",
                status.message
            );
            Ok(true)
        }
        Err(error) => Err(error).with_context(|| format!("{schedule:?}")),
    }
}
