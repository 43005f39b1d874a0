//! `describe` and `why`: keys and values, as kubectl's describe has them.

use super::age::Clock;
use super::rows;
use crate::text::one_line;
use segment_proto::v1::{Assignment, Cluster, Condition, Hub, Segment, WhyResponse};
use std::fmt::Write as _;

/// Width of the keys.
const KEY_WIDTH: usize = 18;

/// Keys and values, line by line.
#[derive(Default)]
struct Detail(String);

impl Detail {
    fn line(&mut self, key: &str, value: impl AsRef<str>) {
        let value = one_line(value.as_ref());
        let value = if value.is_empty() { "<none>" } else { &value };
        let _ = writeln!(self.0, "{:KEY_WIDTH$}{value}", format!("{key}:"));
    }

    /// Only where there is something to say.
    fn maybe(&mut self, key: &str, value: impl AsRef<str>) {
        if !value.as_ref().is_empty() {
            self.line(key, value);
        }
    }

    fn block(&mut self, title: &str, table: &super::table::Table) {
        if table.is_empty() {
            self.line(title, "");
            return;
        }
        let _ = writeln!(self.0, "{title}:");
        for line in table.text(false, true).lines() {
            let _ = writeln!(self.0, "  {line}");
        }
    }

    fn conditions(&mut self, conditions: &[Condition], clock: Clock) {
        let columns = ["TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"].map(super::table::column);
        let rows = conditions.iter().map(|condition| super::table::Row {
            name: condition.r#type.clone(),
            cells: vec![
                condition.r#type.clone(),
                condition.status.clone(),
                clock.relative(condition.since.as_ref()),
                condition.reason.clone(),
                condition.message.clone(),
            ],
        });
        let table = super::table::Table {
            columns: columns.to_vec(),
            rows: rows.collect(),
        };
        self.block("Conditions", &table);
    }
}

/// A Segment, with the assignments that need someone.
pub(crate) fn segment(segment: &Segment, assignments: &[Assignment], clock: Clock) -> String {
    let mut out = Detail::default();
    let (namespace, name) = rows::split(&segment.name);
    out.line("Name", name);
    out.line("Namespace", namespace);
    out.maybe("Display name", &segment.display_name);
    out.maybe("Description", &segment.description);
    out.line("Labels", rows::labels(&segment.labels));
    out.line("Uid", &segment.uid);
    out.line("Created", clock.relative(segment.create_time.as_ref()));
    out.line("Revision", &segment.revision);
    let zone = if segment.time_zone.is_empty() {
        String::new()
    } else {
        format!(" ({})", segment.time_zone)
    };
    out.line("Schedule", format!("{}{zone}", segment.schedule));
    out.line("Suspended", rows::truth(segment.suspended));
    out.line("Paused", rows::truth(segment.paused));
    out.line("Ready", rows::truth(segment.ready));
    out.line("Last run", clock.relative(segment.last_run.as_ref()));
    out.line("Next run", clock.relative(segment.next_run.as_ref()));
    out.maybe("Message", &segment.message);
    let counts = segment.clusters.unwrap_or_default();
    out.line(
        "Clusters",
        format!(
            "{} selected = {} ready + {} rolling + {} failing + {} stale + {} held; {} updated, {} owed",
            counts.selected(), counts.ready(), counts.rolling(), counts.failing(), counts.stale(), counts.held(),
            counts.updated(), counts.owed()
        ),
    );
    out.conditions(&segment.conditions, clock);
    out.block(
        "Worst clusters",
        &rows::assignments(assignments, clock, false),
    );
    out.0
}

/// A Cluster, with its assignments.
pub(crate) fn cluster(cluster: &Cluster, assignments: &[Assignment], clock: Clock) -> String {
    let mut out = Detail::default();
    out.line("Name", &cluster.name);
    out.line("Labels", rows::labels(&cluster.labels));
    out.line("Taints", cluster.taints.join(","));
    out.line("Access", &cluster.access);
    out.line("Paused", rows::truth(cluster.paused));
    out.line("Created", clock.relative(cluster.create_time.as_ref()));
    out.line("Cluster uid", &cluster.cluster_uid);
    out.line("Kubernetes", &cluster.kubernetes_version);
    out.line("Agent", &cluster.agent_version);
    out.line("Ready", &cluster.ready);
    let since = clock.relative(cluster.connected_since.as_ref());
    let since = if since.is_empty() {
        since
    } else {
        format!(" since {since}")
    };
    out.line(
        "Connected",
        format!("{}{since}", rows::truth(cluster.connected)),
    );
    out.maybe("Last heard", clock.relative(cluster.last_heard.as_ref()));
    out.maybe("Message", &cluster.message);
    let counts = cluster.segments.unwrap_or_default();
    out.line(
        "Segments",
        format!(
            "{} placed = {} ready + {} rolling + {} failing + {} stale + {} held; {} owed, {} orphans",
            counts.placed(), counts.ready(), counts.rolling(), counts.failing(), counts.stale(), counts.held(),
            counts.owed(), cluster.orphans()
        ),
    );
    out.conditions(&cluster.conditions, clock);
    out.block("Assignments", &rows::assignments(assignments, clock, true));
    out.0
}

/// One reason.
pub(crate) fn why(why: &WhyResponse, clock: Clock) -> String {
    let mut out = Detail::default();
    let verdict = if why.placed() { "placed" } else { "not placed" };
    let _ = writeln!(
        out.0,
        "{} on {}: {verdict}: {}",
        one_line(&why.segment),
        one_line(&why.cluster),
        one_line(&rows::because(&why.reason, &why.message))
    );
    for selector in &why.overrides {
        out.line("Override", selector);
    }
    if let Some(assignment) = &why.assignment {
        let since = clock.relative(assignment.state_since.as_ref());
        let since = if since.is_empty() {
            since
        } else {
            format!(", since {since}")
        };
        out.line(
            "State",
            format!("{}{since}", rows::state(assignment.state())),
        );
        out.maybe(
            "Message",
            rows::because(&assignment.reason, &assignment.message),
        );
        out.line("Revision", rows::short(&assignment.revision));
        if assignment.held_revision != assignment.revision {
            out.line("Holds", rows::short(&assignment.held_revision));
        }
        out.maybe("CronJob", &assignment.cron_job);
        out.maybe("Schedule", &assignment.schedule);
        out.maybe("Next run", clock.relative(assignment.next_run.as_ref()));
        if let Some(run) = &assignment.last_run {
            let when = clock.relative(run.started.as_ref().or(run.scheduled.as_ref()));
            out.line(
                "Last run",
                rows::because(&format!("{} {when}", rows::result(run)), &run.message),
            );
        }
    }
    out.0
}

/// The hub.
pub(crate) fn hub(hub: &Hub, clock: Clock) -> String {
    let mut out = Detail::default();
    out.line("Hub id", &hub.hub_id);
    out.line("Version", &hub.version);
    out.line("Leader", &hub.leader);
    out.line(
        "Era",
        hub.era.map(|era| era.to_string()).unwrap_or_default(),
    );
    out.line(
        "Term",
        hub.term.map(|term| term.to_string()).unwrap_or_default(),
    );
    out.line("Synced", rows::truth(hub.synced));
    out.line("Users", &hub.users_address);
    out.line("Agents", &hub.agents_address);
    out.line("CA pin", &hub.ca_pin);
    out.line("Segments", rows::number(hub.segments));
    out.line(
        "Clusters",
        format!("{} accepted, {} connected", hub.clusters(), hub.connected()),
    );
    if !hub.went_back.is_empty() {
        out.line(
            "Went back",
            format!(
                "{} have seen a newer state than this hub knows: {}; segctl hub accept-restore makes this one stand",
                crate::text::count(hub.went_back.len(), "cluster"),
                hub.went_back.join(", ")
            ),
        );
    }
    let mut defaults: Vec<_> = hub.defaults.iter().collect();
    defaults.sort();
    let rows = defaults.into_iter().map(|(name, value)| super::table::Row {
        name: name.clone(),
        cells: vec![name.clone(), value.clone()],
    });
    let table = super::table::Table {
        columns: ["VARIABLE", "VALUE"].map(super::table::column).to_vec(),
        rows: rows.collect(),
    };
    out.block("House defaults", &table);
    out.line("As of", super::age::seconds_of(clock.now));
    out.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Times;

    #[test]
    fn why_is_one_sentence_first() {
        let clock = Clock {
            times: Times::Relative,
            now: jiff::Timestamp::from_second(1_000).unwrap(),
        };
        let answer = WhyResponse {
            segment: "granary/demo".into(),
            cluster: "eu-17".into(),
            placed: Some(false),
            reason: "SelectorMismatch".into(),
            message: "label env is \"test\"; the selector wants \"prod\"".into(),
            ..WhyResponse::default()
        };
        assert_eq!(
            why(&answer, clock),
            "granary/demo on eu-17: not placed: SelectorMismatch: label env is \"test\"; the selector wants \"prod\"\n"
        );
    }
}
