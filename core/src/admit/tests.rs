#![allow(clippy::too_many_lines, reason = "tables are read as a whole")]

use super::*;
use crate::assignment::{ConcurrencyPolicy, PodSecurity, PullPolicy, RestartPolicy, SecretKey};
use crate::ids::CronJobName;
use proptest::prelude::*;

/// The policy that the agent's chart writes as its preset, for the namespace `granary`.
const PRESET: &[(&str, &str)] = &[
    (
        "namespaces",
        "granary: {from: [granary, granary-test]}\nreports: {}",
    ),
    (
        "images",
        "'*': [gitlab.alvary.io:5000/grnry/segment-table-creation, 'registry.example.org/team/']",
    ),
    (
        "secrets",
        "'*':\n  DB_USER: grnry-pg-citus-secret/superuser-username\n  DB_NAME: [grnry-pg-citus-secret/superuser-database]\n  \
         DB_PASSWORD: grnry-pg-citus-secret/superuser-password",
    ),
    ("pullSecrets", "'*': [grnry-base-private-registry-token]"),
    ("dbHosts", "'*': [grnry-pg-citus]"),
];

fn policy(changes: &[(&str, &str)]) -> Policy {
    let data = PRESET
        .iter()
        .chain(changes)
        .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
        .collect();
    Policy::from_data(&data).unwrap()
}

fn template() -> Template {
    let secret = |key: &str| SecretKey {
        secret: "grnry-pg-citus-secret".to_owned(),
        key: key.to_owned(),
    };
    Template {
        namespace: Namespace::new("granary").unwrap(),
        name: CronJobName::new("a").unwrap(),
        schedule: "0 3 * * *".to_owned(),
        time_zone: None,
        suspend: false,
        concurrency_policy: ConcurrencyPolicy::Allow,
        starting_deadline_seconds: None,
        failed_jobs_history_limit: 1,
        successful_jobs_history_limit: 1,
        backoff_limit: None,
        active_deadline_seconds: None,
        ttl_seconds_after_finished: None,
        image: "gitlab.alvary.io:5000/grnry/segment-table-creation:0.7.0".to_owned(),
        image_pull_policy: PullPolicy::IfNotPresent,
        image_pull_secrets: vec!["grnry-base-private-registry-token".to_owned()],
        restart_policy: RestartPolicy::OnFailure,
        service_account_name: None,
        node_selector: BTreeMap::new(),
        tolerations: Vec::new(),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        requests: BTreeMap::new(),
        limits: BTreeMap::new(),
        env: [
            ("DB_HOST", "grnry-pg-citus"),
            ("TYPE", "pivot"),
            ("PROMETHEUS_PUSHGATEWAY", ""),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        secret_env: [
            ("DB_USER", secret("superuser-username")),
            ("DB_NAME", secret("superuser-database")),
            ("DB_PASSWORD", secret("superuser-password")),
        ]
        .map(|(name, secret)| (name.to_owned(), secret))
        .into(),
        pod_security: PodSecurity::Baseline,
    }
}

fn rule(policy: &Policy, change: impl FnOnce(&mut Template), from: &str) -> Option<&'static str> {
    let mut template = template();
    change(&mut template);
    admit(policy, &template, &Namespace::new(from).unwrap())
        .err()
        .map(|refusal| refusal.rule)
}

fn put(map: &mut BTreeMap<String, String>, key: &str, value: &str) {
    map.insert(key.to_owned(), value.to_owned());
}

#[test]
fn the_preset_admits_the_default_and_refuses_what_a_stolen_hub_would_ask_for() {
    type Change = fn(&mut Template);
    let rows: &[(&str, Change, Option<&str>)] = &[
        ("the default", |_| {}, None),
        (
            "another namespace",
            |t| t.namespace = Namespace::new("kube-system").unwrap(),
            Some("namespaces"),
        ),
        (
            "of another hub namespace",
            |t| t.namespace = Namespace::new("reports").unwrap(),
            Some("namespaces"),
        ),
        (
            "another image",
            |t| t.image = "evil/image:1".to_owned(),
            Some("images"),
        ),
        (
            "an image whose name begins alike",
            |t| t.image.insert_str(50, "-evil"),
            Some("images"),
        ),
        (
            "a listed path",
            |t| t.image = "registry.example.org/team/x/y:1".to_owned(),
            None,
        ),
        (
            "a path that begins alike",
            |t| t.image = "registry.example.org/team-evil/x:1".to_owned(),
            Some("images"),
        ),
        (
            "a digest",
            |t| t.image = "gitlab.alvary.io:5000/grnry/segment-table-creation@sha256:00".to_owned(),
            None,
        ),
        (
            "another pull secret",
            |t| t.image_pull_secrets.push("x".to_owned()),
            Some("pullSecrets"),
        ),
        (
            "another secret",
            |t| t.secret_env.get_mut("DB_USER").unwrap().secret = "x".to_owned(),
            Some("secrets"),
        ),
        (
            "another key",
            |t| t.secret_env.get_mut("DB_USER").unwrap().key = "superuser-password".to_owned(),
            Some("secrets"),
        ),
        (
            "a key under another variable",
            |t| {
                let password = t.secret_env["DB_PASSWORD"].clone();
                t.secret_env.insert("PROMETHEUS_JOB".to_owned(), password);
            },
            Some("secrets"),
        ),
        (
            "a reference to a secret",
            |t| put(&mut t.env, "PROMETHEUS_JOB", "x-$(DB_PASSWORD)"),
            Some("secrets"),
        ),
        (
            "an escaped reference",
            |t| put(&mut t.env, "PROMETHEUS_JOB", "x-$$(DB_PASSWORD)"),
            None,
        ),
        (
            "another reference",
            |t| put(&mut t.env, "PROMETHEUS_JOB", "x-$(TYPE)"),
            None,
        ),
        (
            "another database",
            |t| put(&mut t.env, "DB_HOST", "evil.example.org"),
            Some("dbHosts"),
        ),
        (
            "a list of databases",
            |t| put(&mut t.env, "DB_HOST", "grnry-pg-citus,evil"),
            Some("dbHosts"),
        ),
        (
            "a pushgateway",
            |t| put(&mut t.env, "PROMETHEUS_PUSHGATEWAY", "evil:9091"),
            Some("pushgateways"),
        ),
        (
            "an unknown variable",
            |t| put(&mut t.env, "LD_PRELOAD", "x"),
            Some("extraEnv"),
        ),
        (
            "the password in clear",
            |t| put(&mut t.env, "PGPASSWORD", "x"),
            Some("extraEnv"),
        ),
        (
            "a service account",
            |t| t.service_account_name = Some("admin".to_owned()),
            Some("serviceAccounts"),
        ),
        (
            "the default account",
            |t| t.service_account_name = Some("default".to_owned()),
            None,
        ),
        (
            "a sidecar by label",
            |t| put(&mut t.labels, "sidecar.istio.io/inject", "true"),
            Some("labels"),
        ),
        (
            "a sidecar by annotation",
            |t| put(&mut t.annotations, "sidecar.istio.io/inject", "true"),
            Some("annotations"),
        ),
        (
            "a node",
            |t| {
                put(
                    &mut t.node_selector,
                    "node-role.kubernetes.io/control-plane",
                    "",
                );
            },
            Some("nodeSelectors"),
        ),
        (
            "every taint",
            |t| {
                t.tolerations.push(PodToleration {
                    operator: Some("Exists".to_owned()),
                    ..PodToleration::default()
                });
            },
            Some("tolerations"),
        ),
        (
            "the chart's Pod, without our hardening",
            |t| t.pod_security = PodSecurity::Chart,
            Some("podSecurity"),
        ),
        (
            "a stricter Pod",
            |t| t.pod_security = PodSecurity::Restricted,
            None,
        ),
        (
            "every second",
            |t| t.schedule = "@every 1s".to_owned(),
            Some("minimumInterval"),
        ),
        (
            "every minute",
            |t| t.schedule = "* * * * *".to_owned(),
            None,
        ),
        ("never", |t| t.schedule = "0 0 31 2 *".to_owned(), None),
        (
            "much memory",
            |t| put(&mut t.requests, "memory", "1Ti"),
            Some("resources"),
        ),
    ];
    for (what, change, expected) in rows {
        assert_eq!(rule(&policy(&[]), change, "granary"), *expected, "{what}");
    }
    assert_eq!(
        rule(
            &policy(&[]),
            |t| t.namespace = Namespace::new("reports").unwrap(),
            "reports"
        ),
        None
    );
    assert_eq!(
        rule(&Policy::default(), |_| {}, "granary"),
        Some("namespaces"),
        "an empty policy admits nothing"
    );
}

#[test]
fn the_hub_takes_over_and_holds_as_far_as_the_policy_lets_it() {
    use Adoption::{Always, IfSame, Never};
    for (listed, expected) in [
        (None, [Never, IfSame, IfSame]),
        (Some("[]"), [Never, Never, Never]),
        (Some("[Never]"), [Never, Never, Never]),
        (Some("[Always]"), [Never, Never, Always]),
        (Some("[IfSame, Always]"), [Never, IfSame, Always]),
    ] {
        let changes: Vec<_> = listed.iter().map(|text| ("adoption", *text)).collect();
        let policy = policy(&changes);
        let admitted = [Never, IfSame, Always].map(|asked| admitted_adoption(&policy, asked));
        assert_eq!(admitted, expected, "{listed:?}");
    }
    let now: Timestamp = "2026-01-02T03:30:00Z".parse().unwrap();
    let hold = |until: Option<Timestamp>| {
        Some(Hold {
            until,
            reason: String::new(),
        })
    };
    for (allowed, hold, expected) in [
        ("true", hold(None), None),
        ("false", None, None),
        ("false", hold(None), Some("holds")),
        ("false", hold(Some(now)), None),
    ] {
        let rule = format!("{{allowed: {allowed}}}");
        let refusal = admit_hold(&policy(&[("holds", &rule)]), hold.as_ref(), now).err();
        assert_eq!(
            refusal.map(|refusal| refusal.rule),
            expected,
            "{rule} {hold:?}"
        );
    }
}

#[test]
fn a_rule_admits_what_it_lists_and_a_namespaces_own_value_stands_for_it() {
    type Change = fn(&mut Template);
    let rows: &[(&str, &str, Change, Option<&str>)] = &[
        (
            "images",
            "{'*': [], granary: ['gitlab.alvary.io:5000/grnry/segment-table-creation:0.7.0']}",
            |_| {},
            None,
        ),
        (
            "images",
            "{'*': ['gitlab.alvary.io:5000/grnry/segment-table-creation'], granary: []}",
            |_| {},
            Some("images"),
        ),
        (
            "images",
            "{'*': ['gitlab.alvary.io']}",
            |_| {},
            Some("images"),
        ),
        ("images", "{'*': ['']}", |_| {}, Some("images")),
        (
            "images",
            "{'*': ['registry:5000/repo:1.2']}",
            |t| t.image = "registry:5000/repo:1.2".to_owned(),
            None,
        ),
        (
            "images",
            "{'*': ['registry:5000/repo:1.2']}",
            |t| t.image = "registry:5000/repo:1.2@sha256:00".to_owned(),
            Some("images"),
        ),
        (
            "images",
            "{'*': ['registry:5000/repo@sha256:00']}",
            |t| t.image = "registry:5000/repo@sha256:00:1".to_owned(),
            Some("images"),
        ),
        (
            "images",
            "{'*': ['registry:5000/repo']}",
            |t| t.image = "registry:5000/repo:1.2@sha256:00".to_owned(),
            None,
        ),
        (
            "podSecurity",
            "{'*': chart}",
            |t| t.pod_security = PodSecurity::Chart,
            None,
        ),
        (
            "podSecurity",
            "{granary: restricted}",
            |_| {},
            Some("podSecurity"),
        ),
        (
            "digestsOnly",
            "{granary: true}",
            |_| {},
            Some("digestsOnly"),
        ),
        (
            "pushgateways",
            "{'*': ['push:9091']}",
            |t| put(&mut t.env, "PROMETHEUS_PUSHGATEWAY", "push:9091"),
            None,
        ),
        (
            "serviceAccounts",
            "{'*': [segments]}",
            |t| t.service_account_name = Some("segments".to_owned()),
            None,
        ),
        (
            "extraEnv",
            "{'*': [PGAPPNAME]}",
            |t| put(&mut t.env, "PGAPPNAME", "x"),
            None,
        ),
        (
            "labels",
            "{'*': [team.example.org/]}",
            |t| put(&mut t.labels, "team.example.org/name", "x"),
            None,
        ),
        (
            "annotations",
            "{'*': ['']}",
            |t| put(&mut t.annotations, "any", "x"),
            None,
        ),
        (
            "annotations",
            "{'*': ['']}",
            |t| put(&mut t.annotations, "segment.grnry.io/hub", "x"),
            Some("annotations"),
        ),
        (
            "nodeSelectors",
            "{'*': {pool: [batch]}}",
            |t| put(&mut t.node_selector, "pool", "batch"),
            None,
        ),
        (
            "nodeSelectors",
            "{'*': {pool: [batch]}}",
            |t| put(&mut t.node_selector, "pool", "web"),
            Some("nodeSelectors"),
        ),
        (
            "tolerations",
            "{'*': [{key: dedicated, value: batch}]}",
            |t| {
                t.tolerations.push(PodToleration {
                    key: Some("dedicated".to_owned()),
                    value: Some("batch".to_owned()),
                    ..PodToleration::default()
                });
            },
            None,
        ),
        (
            "tolerations",
            "{'*': [{key: dedicated, value: batch}]}",
            |t| {
                t.tolerations.push(PodToleration {
                    key: Some("dedicated".to_owned()),
                    operator: Some("Exists".to_owned()),
                    ..PodToleration::default()
                });
            },
            Some("tolerations"),
        ),
        (
            "minimumInterval",
            "{'*': 15m}",
            |t| t.schedule = "*/15 * * * *".to_owned(),
            None,
        ),
        (
            "minimumInterval",
            "{'*': 15m}",
            |t| t.schedule = "*/14 * * * *".to_owned(),
            Some("minimumInterval"),
        ),
        (
            "minimumInterval",
            "{'*': 15m}",
            |t| t.schedule = "0,59 0,23 1,2 * *".to_owned(),
            Some("minimumInterval"),
        ),
        (
            "minimumInterval",
            "{'*': 3600}",
            |t| t.schedule = "@hourly".to_owned(),
            None,
        ),
        (
            "minimumInterval",
            "{'*': 10}",
            |t| t.schedule = "@every 10s".to_owned(),
            None,
        ),
        (
            "resources",
            "{'*': {memory: 4Gi, cpu: 2}}",
            |t| put(&mut t.limits, "memory", "4096Mi"),
            None,
        ),
        (
            "resources",
            "{'*': {memory: 4Gi, cpu: 2}}",
            |t| put(&mut t.requests, "cpu", "2001m"),
            Some("resources"),
        ),
    ];
    for (key, value, change, expected) in rows {
        assert_eq!(
            rule(&policy(&[(key, value)]), change, "granary"),
            *expected,
            "{key}: {value}"
        );
    }
}

#[test]
fn a_typo_is_an_error_and_not_silence() {
    for (key, value) in [
        ("imges", "{}"),
        ("images", "[a, b]"),
        ("namespaces", "{granary: {form: [a]}}"),
        ("secrets", "{'*': {DB_USER: no-key}}"),
        ("minimumInterval", "{'*': soon}"),
        ("resources", "{'*': {memory: lots}}"),
        ("maxCronJobs", "many"),
        ("brake", "{window: 5}"),
        ("tolerations", "{'*': [{keys: a}]}"),
        ("dbHosts", "{'*': [a"),
    ] {
        let data = [(key.to_owned(), value.to_owned())].into();
        let error = Policy::from_data(&data).unwrap_err();
        assert_eq!(error.key, key);
        assert!(!error.message.is_empty());
    }
}

#[test]
fn what_later_rules_say_is_kept() {
    let policy = policy(&[
        ("maxCronJobs", "2"),
        (
            "brake",
            "{removals: {min: 1, percent: 10}, replacements: true}",
        ),
        ("holds", "{allowed: false}"),
        ("runNow", "true"),
    ]);
    assert_eq!(
        policy.brake,
        Brake {
            removals: Share {
                min: 1,
                percent: 10
            },
            window_minutes: 60,
            replacements: true
        }
    );
    assert_eq!(
        policy.holds,
        Holds {
            allowed: false,
            max_days: 7,
            in_days: 30
        }
    );
    assert_eq!((policy.run_now, policy.logs), (true, false));
    assert_eq!(admit_one_more(&policy, 1), Ok(()));
    assert_eq!(admit_one_more(&policy, 2).unwrap_err().rule, "maxCronJobs");
}

#[test]
fn references_are_those_that_the_kubelet_expands() {
    let rows: [(&str, &[&str]); 7] = [
        ("$(A)$(B)", &["A", "B"]),
        ("$$(A)", &[]),
        ("$$$(A)", &["A"]),
        ("$A $(A", &[]),
        ("$x$(A)", &["A"]),
        ("$($(A)", &["$(A"]),
        ("ä$(A)ü", &["A"]),
    ];
    for (value, expected) in rows {
        assert_eq!(references(value).collect::<Vec<_>>(), expected, "{value}");
    }
}

/// Each bit makes the policy stricter or the order more demanding in one way.
fn strict(bits: u16) -> Policy {
    let pick = |bit: u16, loose: &'static str, strict: &'static str| {
        if bits & (1 << bit) == 0 {
            loose
        } else {
            strict
        }
    };
    policy(&[
        (
            "namespaces",
            pick(0, "granary: {from: [granary, other]}", "granary: {}"),
        ),
        (
            "images",
            pick(
                1,
                "{'*': [gitlab.alvary.io:5000/]}",
                "{'*': ['gitlab.alvary.io:5000/grnry/segment-table-creation:0.7.0']}",
            ),
        ),
        ("digestsOnly", pick(2, "{}", "{'*': true}")),
        (
            "dbHosts",
            pick(3, "{'*': [grnry-pg-citus, two]}", "{'*': [two]}"),
        ),
        ("extraEnv", pick(4, "{'*': [X]}", "{'*': []}")),
        ("labels", pick(5, "{'*': ['']}", "{'*': [team/]}")),
        ("minimumInterval", pick(6, "{'*': 10}", "{'*': 2h}")),
        ("resources", pick(7, "{'*': {cpu: 4}}", "{'*': {cpu: 1}}")),
        ("tolerations", pick(8, "{'*': [{}]}", "{'*': [{key: a}]}")),
        ("serviceAccounts", pick(9, "{'*': [a, b]}", "{'*': [a]}")),
    ])
}

fn demanding(bits: u16) -> Template {
    let on = |bit: u16| bits & (1 << bit) != 0;
    let mut template = template();
    if on(0) {
        template.image = "gitlab.alvary.io:5000/other@sha256:00".to_owned();
    }
    if on(1) {
        put(&mut template.env, "DB_HOST", "two");
    }
    if on(2) {
        put(&mut template.env, "X", "y");
    }
    if on(3) {
        put(&mut template.labels, "team/a", "x");
    }
    if on(4) {
        template.schedule = "@hourly".to_owned();
    }
    if on(5) {
        put(&mut template.limits, "cpu", "2");
    }
    if on(6) {
        template.tolerations.push(PodToleration {
            key: Some("b".to_owned()),
            ..PodToleration::default()
        });
    }
    if on(7) {
        template.service_account_name = Some("b".to_owned());
    }
    template
}

proptest! {
    #[test]
    fn admit_is_monotone(policy in 0u16..1024, more in 0u16..1024, order in 0u16..256, other in any::<bool>()) {
        let from = Namespace::new(if other { "other" } else { "granary" }).unwrap();
        let template = demanding(order);
        if admit(&strict(policy | more), &template, &from).is_ok() {
            prop_assert_eq!(admit(&strict(policy), &template, &from), Ok(()));
        }
    }
}
