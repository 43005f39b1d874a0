//! Bounds of the schema, each with its reason.
//!
//! The API server multiplies these bounds to estimate what a CEL rule may cost, and refuses a CRD whose rules run over
//! unbounded lists or maps. They also refuse what could never be delivered, with field and reason, before it is stored.

/// Characters of one long variable (SQL, lists of paths or transformations).
/// A rendered assignment may have 96 KiB; a third of that for one value is more than any script in use has.
pub const LONG_VALUE_MAX_CHARS: usize = 32_768;

/// Characters of a variable that holds a name, a number, a flag or a separator.
/// Not 63 or so: the value may be a template such as `$(cluster.annotations['example.org/database-host'])`.
pub const SHORT_VALUE_MAX_CHARS: usize = 1_024;

/// Characters of the target's name: room for templates. What has none is held to 63 bytes by a rule.
pub const TARGET_NAME_MAX_CHARS: usize = 512;

/// Bytes of a `PostgreSQL` identifier: `NAMEDATALEN` - 1. Longer names are cut silently by the server.
pub const IDENTIFIER_MAX_BYTES: usize = 63;

/// Characters of one value of `extraEnv`: as much as a long value. Together they have to fit into the assignment, as
/// the core checks; the API server's own limit is some 1.5 MiB for the object.
pub const EXTRA_VALUE_MAX_CHARS: usize = LONG_VALUE_MAX_CHARS;

/// Characters of a namespace's name (DNS-1123 label).
pub const NAMESPACE_MAX_CHARS: usize = 63;

/// Characters of a schedule: five fields with lists, or a macro.
pub const SCHEDULE_MAX_CHARS: usize = 256;

/// Entries of `extraEnv` and of `envFromSecrets`. The script knows some thirty variables; twice that is plenty.
pub const VARIABLES_MAX: usize = 64;

/// Overrides of one Segment: one for each region or tenant, not one for each cluster (labels and templates do that).
pub const OVERRIDES_MAX: usize = 64;

/// Items of a list of tolerations, taints or node tolerations.
pub const TOLERATIONS_MAX: usize = 64;

/// Entries of a map of labels, annotations, node labels or resources.
pub const LABELS_MAX: usize = 64;

/// Waves of a rollout; each waits for the one before it, so more than this would never end.
pub const WAVES_MAX: usize = 32;

/// Windows in which a rollout may go on.
pub const WINDOWS_MAX: usize = 32;

/// Clusters named in a Segment's status. The rest is served by the hub's API, and never stored per cluster.
pub const WORST_MAX: usize = 10;

/// Characters of a Segment's name: what Granary allows for a segment's id.
pub const SEGMENT_NAME_MAX_CHARS: usize = 134;

/// Characters of a Cluster's name: it is also the value of the label `segment.grnry.io/cluster`.
pub const CLUSTER_NAME_MAX_CHARS: usize = 63;

/// Characters of an object's name (DNS-1123 subdomain), of an image's tag and of other short texts.
pub const NAME_MAX_CHARS: usize = 253;

/// Characters of a display name.
pub const DISPLAY_NAME_MAX_CHARS: usize = 256;

/// Characters of a description: a page of text.
pub const DESCRIPTION_MAX_CHARS: usize = 4_096;

/// Seconds of any duration in a Segment: a year, so that no sum of two overflows anything.
pub const SECONDS_MAX: i64 = 31_536_000;

/// Longest grace for a start that is late, in seconds: `CronJob`'s controller takes any `int64`; a year, as above.
pub const STARTING_DEADLINE_SECONDS_MAX: i64 = SECONDS_MAX;

/// Kept Jobs: past this, a namespace of many Segments fills with finished Jobs.
pub const HISTORY_MAX: i32 = 100;
