//! `spec.cronjob`: the schedule, and what the API server of a spoke would refuse.

use crate::table::{Row, With, e, w};
use segment_core::finding::Code::*;

const SCHEDULE: &str = "cronjob.schedule";
const BERLIN: With = &[("cronjob.timeZone", "Europe/Berlin")];
const NEW_YORK: With = &[("cronjob.timeZone", "America/New_York")];
const TOLERATIONS: &str = "cronjob.tolerations";
const RESOURCES: &str = "cronjob.resources";

#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    e(InvalidSchedule, "spec.cronjob.schedule:0", "has 5 fields, found 4", &[], (SCHEDULE, "0 5 * *", "0 5 * * *")),
    e(InvalidSchedule, "spec.cronjob.schedule:2", "hour: 24 is above 23", &[], (SCHEDULE, "0 24 * * *", "0 23 * * *")),
    e(InvalidSchedule, "spec.cronjob.schedule:4", "day of month: 0 is below 1", &[], (SCHEDULE, "0 5 0 * *", "0 5 1 * *")),
    e(InvalidSchedule, "spec.cronjob.schedule:8", "day of week: 7 is above 6", &[], (SCHEDULE, "0 5 * * 7", "0 5 * * 0")),
    e(InvalidSchedule, "spec.cronjob.schedule:0", "\"x\" is not a number", &[], (SCHEDULE, "x 5 * * *", "0 5 * * *")),
    e(InvalidSchedule, "spec.cronjob.schedule:0", "too large", &[], (SCHEDULE, "99999999999999999999 5 * * *", "0 5 * * *")),
    e(InvalidSchedule, "spec.cronjob.schedule:0", "ends before it begins", &[], (SCHEDULE, "5-1 5 * * *", "1-5 5 * * *")),
    e(InvalidSchedule, "spec.cronjob.schedule:0", "too many hyphens", &[], (SCHEDULE, "1-2-3 5 * * *", "1-2 5 * * *")),
    e(InvalidSchedule, "spec.cronjob.schedule:0", "too many slashes", &[], (SCHEDULE, "*/2/3 5 * * *", "*/2 5 * * *")),
    e(InvalidSchedule, "spec.cronjob.schedule:0", "a step must be above 0", &[], (SCHEDULE, "*/0 5 * * *", "*/2 5 * * *")),
    e(InvalidSchedule, "spec.cronjob.schedule:0", "unknown macro", &[], (SCHEDULE, "@reboot", "@daily")),
    e(InvalidSchedule, "spec.cronjob.schedule:7", "\"1d\" is not a duration", &[], (SCHEDULE, "@every 1d", "@every 24h")),
    e(InvalidSchedule, "spec.cronjob.schedule:0", "TZ and CRON_TZ", &[], (SCHEDULE, "TZ=UTC 0 5 * * *", "0 5 * * *")),
    e(InvalidSchedule, "spec.cronjob.schedule:0", "has no closing parenthesis", &[], (SCHEDULE, "H(0-5 5 * * *", "H(0-5) 5 * * *")),
    e(InvalidSchedule, "spec.cronjob.schedule:0", "\"5\" is not a range", &[], (SCHEDULE, "H(5) 5 * * *", "H(5-6) 5 * * *")),
    e(InvalidSchedule, "spec.cronjob.schedule:2", "the range 3-24 is not within 0-23", &[], (SCHEDULE, "0 H(3-24) * * *", "0 H(3-23) * * *")),
    e(InvalidSchedule, "spec.cronjob.schedule:0", "\"-5\" after H is not understood", &[], (SCHEDULE, "H-5 5 * * *", "H 5 * * *")),
    e(InvalidSchedule, "spec.cronjob.schedule:0", "the step 1 is not within 2-60", &[], (SCHEDULE, "H/1 5 * * *", "H/2 5 * * *")),
    e(InvalidSchedule, "spec.cronjob.schedule:3", "hour: 25 is above 23", &[], (SCHEDULE, "H  25 * * *", "H  5 * * *")),
    e(InvalidSchedule, "spec.overrides[0].cronjob.schedule:0", "has 5 fields", &[],
        ("overrides", "[{cronjob: {schedule: '0'}}]", "[{cronjob: {schedule: 0 5 * * *}}]")),
    w(NeverDue, "spec.cronjob.schedule", "is never due", &[], (SCHEDULE, "0 5 31 2 *", "0 5 29 2 *")),
    w(RunsTwice, "spec.cronjob.schedule", "runs twice on 2027-11-07", NEW_YORK, (SCHEDULE, "30 1 * * *", "30 3 * * *")),
    w(RunsTwice, "spec.cronjob.schedule", "on some cluster runs twice on 2027-11-07", NEW_YORK, (SCHEDULE, "H 1 * * *", "H 3 * * *")),
    w(NeverRuns, "spec.cronjob.schedule", "runs not at all on 2027-03-14", NEW_YORK, (SCHEDULE, "30 2 * * *", "30 3 * * *")),
    w(NeverRuns, "spec.cronjob.schedule", "on some cluster runs not at all on 2027-03-14", NEW_YORK, (SCHEDULE, "H 2 * * *", "H 3 * * *")),
    w(RunsTwice, "spec.overrides[0].cronjob.schedule", "runs twice on 2027-10-31", BERLIN,
        ("overrides", "[{cronjob: {schedule: 30 2 31 10 *}}]", "[{cronjob: {schedule: 30 3 31 10 *}}]")),

    e(UnknownTimeZone, "spec.cronjob.timeZone", "unknown time zone \"Mars/Base\"", &[], ("cronjob.timeZone", "Mars/Base", "UTC")),
    e(UnknownTimeZone, "spec.cronjob.timeZone", "did you mean \"Europe/Berlin\"?", &[],
        ("cronjob.timeZone", "europe/berlin", "Europe/Berlin")),
    e(UnknownTimeZone, "spec.cronjob.timeZone", "unknown time zone \"Local\"", &[], ("cronjob.timeZone", "Local", "UTC")),

    e(OutOfRange, "spec.cronjob.failedJobsHistoryLimit", "-1 is not within 0 to 100", &[], ("cronjob.failedJobsHistoryLimit", "-1", "0")),
    e(OutOfRange, "spec.cronjob.successfulJobsHistoryLimit", "101 is not within 0 to 100", &[], ("cronjob.successfulJobsHistoryLimit", "101", "100")),
    e(OutOfRange, "spec.cronjob.backoffLimit", "101 is not within 0 to 100", &[], ("cronjob.backoffLimit", "101", "100")),
    e(OutOfRange, "spec.cronjob.startingDeadlineSeconds", "-1 is not within 0 to", &[], ("cronjob.startingDeadlineSeconds", "-1", "0")),
    e(OutOfRange, "spec.cronjob.activeDeadlineSeconds", "0 is not within 1 to", &[], ("cronjob.activeDeadlineSeconds", "0", "1")),
    e(OutOfRange, "spec.cronjob.ttlSecondsAfterFinished", "-1 is not within 0 to", &[], ("cronjob.ttlSecondsAfterFinished", "-1", "0")),

    e(InvalidName, "spec.cronjob.serviceAccountName", "\"A\" is not the name of a service account", &[], ("cronjob.serviceAccountName", "A", "a")),
    e(InvalidName, "spec.cronjob.resources.limits.gpu", "\"gpu\" is not a resource", &[], (RESOURCES, "{limits: {gpu: '1'}}", "{limits: {cpu: '1'}}")),
    e(OutOfRange, "spec.cronjob.resources.limits.cpu", "\"1x\" is not a quantity", &[], (RESOURCES, "{limits: {cpu: 1x}}", "{limits: {cpu: 1m}}")),
    e(OutOfRange, "spec.cronjob.resources.requests.cpu", "must not be negative", &[], (RESOURCES, "{requests: {cpu: '-1'}}", "{requests: {cpu: '1'}}")),
    e(OutOfRange, "spec.cronjob.resources.limits.a.b/c", "must be a whole number", &[], (RESOURCES, "{limits: {a.b/c: 1m}}", "{limits: {a.b/c: '1'}}")),
    e(OutOfRange, "spec.cronjob.resources.requests.cpu", "2 is more than the limit 1", &[],
        (RESOURCES, "{requests: {cpu: '2'}, limits: {cpu: '1'}}", "{requests: {cpu: '1'}, limits: {cpu: '1'}}")),
    e(OutOfRange, "spec.cronjob.resources.requests.a.b/c", "must equal the limit 2", &[],
        (RESOURCES, "{requests: {a.b/c: '1'}, limits: {a.b/c: '2'}}", "{requests: {a.b/c: '2'}, limits: {a.b/c: '2'}}")),
    e(OutOfRange, "spec.cronjob.resources.requests.a.b/c", "needs an equal limit", &[],
        (RESOURCES, "{requests: {a.b/c: '2'}}", "{requests: {a.b/c: '2'}, limits: {a.b/c: '2'}}")),

    e(InvalidValue, "spec.cronjob.nodeSelector.-", "\"-\" is not a label's key", &[], ("cronjob.nodeSelector", "{'-': a}", "{a: a}")),
    e(InvalidValue, "spec.cronjob.labels.a", "\"-\" is not a label's value", &[], ("cronjob.labels", "{a: '-'}", "{a: a}")),
    e(InvalidValue, "spec.cronjob.labels.app.kubernetes.io/name", "set by the fleet", &[],
        ("cronjob.labels", "{app.kubernetes.io/name: a}", "{app: a}")),
    e(InvalidValue, "spec.cronjob.labels.x.segment.grnry.io/a", "set by the fleet", &[],
        ("cronjob.labels", "{x.segment.grnry.io/a: a}", "{grnry.io/a: a}")),
    e(InvalidValue, "spec.cronjob.annotations.-", "\"-\" is not an annotation's key", &[], ("cronjob.annotations", "{'-': a}", "{a: a}")),
    e(InvalidValue, "spec.cronjob.annotations.batch.kubernetes.io/a", "set by the fleet", &[],
        ("cronjob.annotations", "{batch.kubernetes.io/a: a}", "{a: a}")),

    e(InvalidValue, "spec.cronjob.tolerations[0].key", "\"-\" is not a taint's key", &[],
        (TOLERATIONS, "[{key: '-', operator: Exists}]", "[{key: a, operator: Exists}]")),
    e(InvalidValue, "spec.cronjob.tolerations[0].operator", "must be Exists where no key", &[],
        (TOLERATIONS, "[{operator: Equal}]", "[{operator: Exists}]")),
    e(InvalidValue, "spec.cronjob.tolerations[0].operator", "\"In\" is not one of Equal, Exists", &[],
        (TOLERATIONS, "[{key: a, operator: In}]", "[{key: a, operator: Equal}]")),
    e(InvalidValue, "spec.cronjob.tolerations[0].value", "\"-\" is not a taint's value", &[],
        (TOLERATIONS, "[{key: a, value: '-'}]", "[{key: a, value: b}]")),
    e(InvalidValue, "spec.cronjob.tolerations[0].value", "must be absent with operator Exists", &[],
        (TOLERATIONS, "[{key: a, operator: Exists, value: b}]", "[{key: a, operator: Exists}]")),
    e(InvalidValue, "spec.cronjob.tolerations[0].effect", "\"None\" is not one of NoSchedule", &[],
        (TOLERATIONS, "[{key: a, effect: None}]", "[{key: a, effect: NoExecute}]")),
    e(InvalidValue, "spec.cronjob.tolerations[0].tolerationSeconds", "effect NoExecute only", &[],
        (TOLERATIONS, "[{key: a, tolerationSeconds: 5}]", "[{key: a, tolerationSeconds: 5, effect: NoExecute}]")),
];
