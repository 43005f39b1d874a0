//! The entries, grouped as a reader looks for them: lists, SQL, variables, schedules, fields, clusters, files.

use super::{Entry, Severities};
use crate::finding::Code;

#[rustfmt::skip]
pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        code: Code::MissingType,
        severity: Severities::Error,
        title: "a transformation has no result type",
        why: "The script can't make the column without its type. Casts inside the SQL do not count: the type is what stands behind the last `TYPE_SEPARATOR`.",
        wrong: r#"spec:
  env:
    TYPE: generic
    GENERIC_TRANSFORMATIONS: "shop=message->>'shop'"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    GENERIC_TRANSFORMATIONS: "shop=message->>'shop'::text"
"#,
    },
    Entry {
        code: Code::MissingDefinition,
        severity: Severities::Error,
        title: "a transformation has no name, or nothing after it",
        why: "A transformation is `name=SQL::type`; the name ends at the first `DEFINITION_SEPARATOR`.",
        wrong: r#"spec:
  env:
    TYPE: generic
    GENERIC_TRANSFORMATIONS: "message->>'shop'::text"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    GENERIC_TRANSFORMATIONS: "shop=message->>'shop'::text"
"#,
    },
    Entry {
        code: Code::UnlistedPath,
        severity: Severities::Error,
        title: "a transformation names a path that the segment does not have",
        why: "Where `PIVOT_PATHS` lists paths, only these become columns; with `PIVOT_ALIASES`, a transformation names the alias.",
        wrong: r#"spec:
  env:
    TYPE: pivot
    PIVOT_PATHS: /mail/topic
    PIVOT_TRANSFORMATIONS: "/mail/topics=lower(?)::text"
"#,
        right: r#"spec:
  env:
    TYPE: pivot
    PIVOT_PATHS: /mail/topic
    PIVOT_TRANSFORMATIONS: "/mail/topic=lower(?)::text"
"#,
    },
    Entry {
        code: Code::NoPlaceholder,
        severity: Severities::Warning,
        title: "a pivot transformation does not use the path's column",
        why: "`COLUMN_PLACEHOLDER` stands for the path's column. Without it, every row gets the same value.",
        wrong: r#"spec:
  env:
    TYPE: pivot
    PIVOT_PATHS: /orders
    PIVOT_TRANSFORMATIONS: "/orders=cast(orders as integer)::integer"
"#,
        right: r#"spec:
  env:
    TYPE: pivot
    PIVOT_PATHS: /orders
    PIVOT_TRANSFORMATIONS: "/orders=cast((? #>> '{}') as integer)::integer"
"#,
    },
    Entry {
        code: Code::UnknownType,
        severity: Severities::Both,
        title: "a result type is none that PostgreSQL has",
        why: "A name that is not known is a warning, as you may have made the type yourself; what can't be a type is an error.",
        wrong: r#"spec:
  env:
    TYPE: generic
    GENERIC_TRANSFORMATIONS: "shop=message->>'shop'::string"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    GENERIC_TRANSFORMATIONS: "shop=message->>'shop'::text"
"#,
    },
    Entry {
        code: Code::DuplicateColumn,
        severity: Severities::Both,
        title: "two columns of the segment have one name",
        why: "A table can't have two columns of one name. A path that is listed twice, under two aliases, is a warning.",
        wrong: r#"spec:
  env:
    TYPE: generic
    GENERIC_COLUMNS: "event_id,inserted,event_id"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    GENERIC_COLUMNS: "event_id,inserted"
"#,
    },
    Entry {
        code: Code::DuplicateAlias,
        severity: Severities::Error,
        title: "two paths have one alias",
        why: "The alias is the column's name, and a table can't have two columns of one name.",
        wrong: r#"spec:
  env:
    TYPE: pivot
    PIVOT_PATHS: "/mail/topic,/sms/topic"
    PIVOT_ALIASES: "topic,topic"
"#,
        right: r#"spec:
  env:
    TYPE: pivot
    PIVOT_PATHS: "/mail/topic,/sms/topic"
    PIVOT_ALIASES: "mail_topic,sms_topic"
"#,
    },
    Entry {
        code: Code::DuplicateTransformation,
        severity: Severities::Error,
        title: "a column is transformed twice",
        why: "The script takes one transformation for each column.",
        wrong: r#"spec:
  env:
    TYPE: pivot
    PIVOT_PATHS: /orders
    PIVOT_TRANSFORMATIONS: "/orders=?::integer|/orders=?::text"
"#,
        right: r#"spec:
  env:
    TYPE: pivot
    PIVOT_PATHS: /orders
    PIVOT_TRANSFORMATIONS: "/orders=?::integer"
"#,
    },
    Entry {
        code: Code::AliasCount,
        severity: Severities::Error,
        title: "there are more or fewer aliases than paths",
        why: "Aliases belong to paths by their order, so there is one for each.",
        wrong: r#"spec:
  env:
    TYPE: pivot
    PIVOT_PATHS: "/mail/topic,/country"
    PIVOT_ALIASES: topic
"#,
        right: r#"spec:
  env:
    TYPE: pivot
    PIVOT_PATHS: "/mail/topic,/country"
    PIVOT_ALIASES: "topic,country"
"#,
    },
    Entry {
        code: Code::AliasesWithoutPaths,
        severity: Severities::Error,
        title: "aliases for paths that are not listed",
        why: "With an empty `PIVOT_PATHS` every path becomes a column, and no one knows which alias is whose.",
        wrong: r#"spec:
  env:
    TYPE: pivot
    PIVOT_PATHS: ""
    PIVOT_ALIASES: topic
"#,
        right: r"spec:
  env:
    TYPE: pivot
    PIVOT_PATHS: /mail/topic
    PIVOT_ALIASES: topic
",
    },
    Entry {
        code: Code::EmptyMember,
        severity: Severities::Error,
        title: "a list has a member with nothing in it",
        why: "The script would make a column, index or view without a name.",
        wrong: r#"spec:
  env:
    TYPE: generic
    GENERIC_COLUMNS: "event_id,,inserted"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    GENERIC_COLUMNS: "event_id,inserted"
"#,
    },
    Entry {
        code: Code::NoColumns,
        severity: Severities::Error,
        title: "a generic segment takes no columns",
        why: "Without `GENERIC_COLUMNS` and `GENERIC_TRANSFORMATIONS` there is nothing to select.",
        wrong: r#"spec:
  env:
    TYPE: generic
    GENERIC_COLUMNS: ""
    GENERIC_TRANSFORMATIONS: ""
"#,
        right: r#"spec:
  env:
    TYPE: generic
    GENERIC_COLUMNS: event_id
    GENERIC_TRANSFORMATIONS: ""
"#,
    },
    Entry {
        code: Code::UnnamedIndex,
        severity: Severities::Error,
        title: "an index has no name",
        why: "An index is `name=(column, …)` or `name=USING method (column, …)`.",
        wrong: r#"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_INDEXES: "(event_id)"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_INDEXES: "by_event=(event_id)"
"#,
    },
    Entry {
        code: Code::InvalidIndex,
        severity: Severities::Error,
        title: "an index definition is not one",
        why: "Columns stand in parentheses, and `TARGET_SEGMENT_INDEX_SEPARATOR` between indexes.",
        wrong: r#"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_INDEXES: "by_event=event_id"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_INDEXES: "by_event=(event_id)"
"#,
    },
    Entry {
        code: Code::IndexOnView,
        severity: Severities::Error,
        title: "indexes on a segment that is a view",
        why: "PostgreSQL has no indexes on views.",
        wrong: r#"spec:
  env:
    TYPE: generic
    DB_USE_VIEWS: "True"
    TARGET_SEGMENT_INDEXES: "by_event=(event_id)"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    DB_USE_VIEWS: "True"
    TARGET_SEGMENT_INDEXES: ""
"#,
    },
    Entry {
        code: Code::DuplicateIndex,
        severity: Severities::Error,
        title: "two indexes have one name",
        why: "The second can't be made.",
        wrong: r#"spec:
  env:
    TYPE: generic
    GENERIC_COLUMNS: "event_id,inserted"
    TARGET_SEGMENT_INDEXES: "by_event=(event_id)|by_event=(inserted)"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    GENERIC_COLUMNS: "event_id,inserted"
    TARGET_SEGMENT_INDEXES: "by_event=(event_id)|by_time=(inserted)"
"#,
    },
    Entry {
        code: Code::UnnamedView,
        severity: Severities::Error,
        title: "a view has no name",
        why: "A view is `name:condition`.",
        wrong: r#"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_VIEWS: "event_id > 5"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_VIEWS: "late:event_id > 5"
"#,
    },
    Entry {
        code: Code::ViewWithoutCondition,
        severity: Severities::Error,
        title: "a view has no condition",
        why: "A view is `name:condition`. Where a comma is part of a condition, set `TARGET_SEGMENT_VIEW_SEPARATOR` to another text.",
        wrong: r"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_VIEWS: all_events
",
        right: r#"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_VIEWS: "all_events:true"
"#,
    },
    Entry {
        code: Code::DuplicateView,
        severity: Severities::Error,
        title: "two views have one name",
        why: "The second replaces the first, or can't be made.",
        wrong: r#"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_VIEWS: "late:event_id > 5,late:event_id > 9"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_VIEWS: "late:event_id > 5,later:event_id > 9"
"#,
    },
    Entry {
        code: Code::NameCollision,
        severity: Severities::Error,
        title: "a view or index has the name of another relation",
        why: "Tables, views and indexes of one schema share their names.",
        wrong: r#"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_NAME: visits
    TARGET_SEGMENT_VIEWS: "visits:event_id > 5"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_NAME: visits
    TARGET_SEGMENT_VIEWS: "late_visits:event_id > 5"
"#,
    },
    Entry {
        code: Code::EmptySeparator,
        severity: Severities::Both,
        title: "a separator is empty, or only white space",
        why: "White space is trimmed, and nothing can be told apart with an empty text. A line break works, and is a warning.",
        wrong: r#"spec:
  env:
    TYPE: generic
    DEFINITION_SEPARATOR: ""
"#,
        right: r#"spec:
  env:
    TYPE: generic
    DEFINITION_SEPARATOR: "="
"#,
    },
    Entry {
        code: Code::AmbiguousSeparator,
        severity: Severities::Error,
        title: "two separators of one list can't be told apart",
        why: "Where one is part of the other, or equal, the script splits at the wrong place.",
        wrong: r#"spec:
  env:
    TYPE: generic
    TRANSFORMATION_SEPARATOR: ":"
    GENERIC_TRANSFORMATIONS: "shop=message->>'shop'::text"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    TRANSFORMATION_SEPARATOR: ";"
    GENERIC_TRANSFORMATIONS: "shop=message->>'shop'::text"
"#,
    },
    Entry {
        code: Code::SeparatorInText,
        severity: Severities::Both,
        title: "a separator stands inside a definition",
        why: "The script knows no quotes and no parentheses: it splits at each separator, as in `||`. Choose one that stands in none of the definitions. A second `:` in a view's condition is a warning.",
        wrong: r#"spec:
  env:
    TYPE: generic
    GENERIC_TRANSFORMATIONS: "name=(message->>'first') || (message->>'last')::text"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    TRANSFORMATION_SEPARATOR: ";;"
    GENERIC_TRANSFORMATIONS: "name=(message->>'first') || (message->>'last')::text"
"#,
    },
    Entry {
        code: Code::LongIdentifier,
        severity: Severities::Error,
        title: "a name is longer than PostgreSQL keeps it",
        why: "PostgreSQL cuts names after 63 bytes without a word, so that the next run does not find its table or column. A long path needs an alias.",
        wrong: r"spec:
  env:
    TYPE: pivot
    PIVOT_PATHS: /newsletter/preferences/of/the/customer/for/seasonal/offers/topic
",
        right: r"spec:
  env:
    TYPE: pivot
    PIVOT_PATHS: /newsletter/preferences/of/the/customer/for/seasonal/offers/topic
    PIVOT_ALIASES: seasonal_topic
",
    },
    Entry {
        code: Code::OddName,
        severity: Severities::Warning,
        title: "a name has characters that PostgreSQL takes only in quotes",
        why: "Letters, digits and `_` are safe. A schema belongs in `TARGET_SCHEMA_NAME`, and what is computed in `GENERIC_TRANSFORMATIONS`.",
        wrong: r#"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_NAME: "segments.visits"
"#,
        right: r"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_NAME: visits
",
    },
    Entry {
        code: Code::UnknownColumn,
        severity: Severities::Warning,
        title: "something refers to a column that the segment does not create",
        why: "Looked for in the columns of indexes, in what stands in double quotes in conditions, and in `CITUS_DIST_COL`.",
        wrong: r#"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_INDEXES: "by_shop=(shop)"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    GENERIC_TRANSFORMATIONS: "shop=message->>'shop'::text"
    TARGET_SEGMENT_INDEXES: "by_shop=(shop)"
"#,
    },
    Entry {
        code: Code::WhereKeyword,
        severity: Severities::Error,
        title: "a condition begins with the word WHERE",
        why: "The script writes the word itself.",
        wrong: r#"spec:
  env:
    TYPE: generic
    SOURCE_WHERE_CLAUSE: "where event_type = 'visit'"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    SOURCE_WHERE_CLAUSE: "event_type = 'visit'"
"#,
    },
    Entry {
        code: Code::LonePercent,
        severity: Severities::Warning,
        title: "a % in a query is not written as the script needs it",
        why: "The images that know `SOURCE_QUERY` read a single % as the beginning of a parameter.",
        wrong: r#"spec:
  env:
    TYPE: flexible
    SOURCE_QUERY: "select a from b where c like 'x%'"
"#,
        right: r#"spec:
  env:
    TYPE: flexible
    SOURCE_QUERY: "select a from b where c like 'x%%%%'"
"#,
    },
    Entry {
        code: Code::SqlComment,
        severity: Severities::Both,
        title: "a comment mark cuts off the rest of an SQL text",
        why: "The script may write its SQL on one line. Where a value of the cluster makes the comment, it is an error on that cluster.",
        wrong: r#"spec:
  env:
    TYPE: generic
    SOURCE_WHERE_CLAUSE: "event_type = 'visit' -- and not deleted"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    SOURCE_WHERE_CLAUSE: "event_type = 'visit' and not deleted"
"#,
    },
    Entry {
        code: Code::UnterminatedText,
        severity: Severities::Error,
        title: "a quote, bracket or comment in an SQL text is not closed",
        why: "PostgreSQL would read the rest of the script's statement as part of it.",
        wrong: r#"spec:
  env:
    TYPE: generic
    SOURCE_WHERE_CLAUSE: "event_type = 'visit"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    SOURCE_WHERE_CLAUSE: "event_type = 'visit'"
"#,
    },
    Entry {
        code: Code::SeveralStatements,
        severity: Severities::Error,
        title: "an SQL text has a semicolon between statements",
        why: "Each SQL text is a part of one statement; the semicolon would end it.",
        wrong: r#"spec:
  env:
    TYPE: generic
    SOURCE_WHERE_CLAUSE: "event_type = 'visit'; drop table a"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    SOURCE_WHERE_CLAUSE: "event_type = 'visit'"
"#,
    },
    Entry {
        code: Code::SqlSyntax,
        severity: Severities::Warning,
        title: "an SQL text can't be parsed",
        why: "The parser is not PostgreSQL's own, so this refuses nothing; but look at the place.",
        wrong: r#"spec:
  env:
    TYPE: generic
    SOURCE_WHERE_CLAUSE: "event_type = 'visit' and"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    SOURCE_WHERE_CLAUSE: "event_type = 'visit'"
"#,
    },
    Entry {
        code: Code::RequiredVariable,
        severity: Severities::Error,
        title: "a variable is absent, or empty where it must not be",
        why: "`TARGET_SEGMENT_INDEXES` and `TARGET_SEGMENT_VIEWS` must be there, but may be empty; `CITUS_DIST_COL` may be empty only with `DB_TYPE` postgres.",
        wrong: r#"spec:
  env:
    TYPE: generic
    SOURCE_WHERE_CLAUSE: ""
"#,
        right: r#"spec:
  env:
    TYPE: generic
    SOURCE_WHERE_CLAUSE: "event_type = 'visit'"
"#,
    },
    Entry {
        code: Code::InvalidValue,
        severity: Severities::Error,
        title: "a value is not one of those allowed",
        why: "The message names what is allowed.",
        wrong: r"spec:
  env:
    TYPE: generic
    DB_PORT: postgres
",
        right: r#"spec:
  env:
    TYPE: generic
    DB_PORT: "5432"
"#,
    },
    Entry {
        code: Code::NotABoolean,
        severity: Severities::Warning,
        title: "a value is neither True nor False",
        why: "The script compares with these words, capital letter and all; YAML's own true is not a string.",
        wrong: r#"spec:
  env:
    TYPE: generic
    DEBUG: "true"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    DEBUG: "True"
"#,
    },
    Entry {
        code: Code::UnusedVariable,
        severity: Severities::Warning,
        title: "a variable that this TYPE does not read",
        why: "It has no effect; it was probably left over from another TYPE.",
        wrong: r"spec:
  env:
    TYPE: pivot
    GENERIC_COLUMNS: event_id
",
        right: r"spec:
  env:
    TYPE: pivot
",
    },
    Entry {
        code: Code::DuplicateVariable,
        severity: Severities::Error,
        title: "a variable stands in two places",
        why: "One of `env`, `extraEnv` and `envFromSecrets` has it; a variable that the script knows stands in `env`.",
        wrong: r"spec:
  extraEnv:
    DB_HOST: pg.example.org
",
        right: r"spec:
  env:
    DB_HOST: pg.example.org
",
    },
    Entry {
        code: Code::PlainSecret,
        severity: Severities::Warning,
        title: "a password or token stands in plain text",
        why: "Who may read Segments, CronJobs or Pods may read it. Keep it in a Secret of the spoke.",
        wrong: r"spec:
  extraEnv:
    API_TOKEN: 3f8a6c
",
        right: r"spec:
  envFromSecrets:
    API_TOKEN: {secret: report-api, key: token}
",
    },
    Entry {
        code: Code::SecretReference,
        severity: Severities::Error,
        title: "a value from a Secret would go into another variable",
        why: "The kubelet would put the Secret's value into a variable that may leave the cluster.",
        wrong: r#"spec:
  env:
    TYPE: generic
    PROMETHEUS_JOB: "$(DB_PASSWORD)"
"#,
        right: r"spec:
  env:
    TYPE: generic
    PROMETHEUS_JOB: segmentcreation
",
    },
    Entry {
        code: Code::NewerImage,
        severity: Severities::Warning,
        title: "a variable that the image is too old for",
        why: "`flexible`, `SOURCE_QUERY`, `PIVOT_ALIASES` and `DB_PRESERVE_VIEWS` came with image 0.9.1. A tag that is no version passes.",
        wrong: r#"spec:
  env:
    TYPE: pivot
    PIVOT_PATHS: /mail/topic
    PIVOT_ALIASES: topic
  image:
    tag: "0.7.0"
"#,
        right: r#"spec:
  env:
    TYPE: pivot
    PIVOT_PATHS: /mail/topic
    PIVOT_ALIASES: topic
  image:
    tag: "0.9.1"
"#,
    },
    Entry {
        code: Code::InvalidSchedule,
        severity: Severities::Error,
        title: "the schedule is not one that Kubernetes accepts",
        why: "Five fields, or a macro such as `@hourly`. Sunday is 0; L, W and # are not known; the zone stands in `timeZone`.",
        wrong: r#"spec:
  cronjob:
    schedule: "0 3 * * 7"
"#,
        right: r#"spec:
  cronjob:
    schedule: "0 3 * * 0"
"#,
    },
    Entry {
        code: Code::UnknownTimeZone,
        severity: Severities::Error,
        title: "the time zone is unknown",
        why: "Its IANA name is needed, spelt exactly.",
        wrong: r#"spec:
  cronjob:
    schedule: "0 3 * * *"
    timeZone: CEST
"#,
        right: r#"spec:
  cronjob:
    schedule: "0 3 * * *"
    timeZone: Etc/UTC
"#,
    },
    Entry {
        code: Code::NeverDue,
        severity: Severities::Warning,
        title: "the schedule is legal and never due",
        why: "No month that it names has such a day.",
        wrong: r#"spec:
  cronjob:
    schedule: "0 3 31 2 *"
"#,
        right: r#"spec:
  cronjob:
    schedule: "0 3 28 2 *"
"#,
    },
    Entry {
        code: Code::RunsTwice,
        severity: Severities::Warning,
        title: "the clocks go back over the schedule",
        why: "In the hour that comes twice, the run starts twice.",
        wrong: r#"spec:
  cronjob:
    schedule: "30 2 * * *"
    timeZone: Europe/Berlin
"#,
        right: r#"spec:
  cronjob:
    schedule: "30 4 * * *"
    timeZone: Europe/Berlin
"#,
    },
    Entry {
        code: Code::NeverRuns,
        severity: Severities::Warning,
        title: "the clocks go forward over the schedule",
        why: "In the hour that is left out, the run is left out, too.",
        wrong: r#"spec:
  cronjob:
    schedule: "30 2 * * *"
    timeZone: Europe/Berlin
"#,
        right: r#"spec:
  cronjob:
    schedule: "30 4 * * *"
    timeZone: Europe/Berlin
"#,
    },
    Entry {
        code: Code::InvalidName,
        severity: Severities::Error,
        title: "a name is too long or not of the right form",
        why: "The message names what the name is for, and its form.",
        wrong: r"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_NAME: visits_of_all_shops_in_all_countries_and_regions_of_the_last_90_days
",
        right: r"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_NAME: visits_last_90_days
",
    },
    Entry {
        code: Code::OutOfRange,
        severity: Severities::Error,
        title: "a quantity or a number is out of its range",
        why: "The message names the range.",
        wrong: r"spec:
  cronjob:
    resources:
      limits: {memory: 512Mbyte}
",
        right: r"spec:
  cronjob:
    resources:
      limits: {memory: 512Mi}
",
    },
    Entry {
        code: Code::InvalidSelector,
        severity: Severities::Error,
        title: "a selector can't be read",
        why: "Operators are In, NotIn, Exists and DoesNotExist; In and NotIn need values.",
        wrong: r"spec:
  clusterSelector:
    matchExpressions:
      - {key: env, operator: In, values: []}
",
        right: r"spec:
  clusterSelector:
    matchExpressions:
      - {key: env, operator: In, values: [prod]}
",
    },
    Entry {
        code: Code::NotYet,
        severity: Severities::Error,
        title: "the field is known but not served by this version",
        why: "It is said, and never silently left out.",
        wrong: r"spec:
  drift: Report
",
        right: r"spec:
  drift: Correct
",
    },
    Entry {
        code: Code::TooLarge,
        severity: Severities::Error,
        title: "a value, or all of it, is larger than an agent takes",
        why: "A list or an SQL text has at most 32,768 characters, a name, number or separator 1,024, and a rendered CronJob 96 KiB.",
        wrong: r#"spec:
  env:
    DB_HOST: "pg.…"   # 1,100 characters
"#,
        right: r"spec:
  env:
    DB_HOST: pg.example.org
",
    },
    Entry {
        code: Code::UnknownReference,
        severity: Severities::Error,
        title: "a reference names something that the cluster does not have",
        why: "`$(cluster.name)`, `$(cluster.labels['key'])` and `$(cluster.annotations['key'])` are known; what the cluster lacks is an error there, never an empty text.",
        wrong: r#"spec:
  env:
    TYPE: generic
    DB_HOST: "$(cluster.region)"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    DB_HOST: "pg.$(cluster.labels['region']).example.org"
"#,
    },
    Entry {
        code: Code::UnsafeReference,
        severity: Severities::Error,
        title: "the value of a reference has characters that are not allowed",
        why: "Values of clusters go into SQL, so they are up to 253 letters, digits and `. _ : / @ -`. An error on that cluster only.",
        wrong: r#"spec:
  env:
    TYPE: generic
    DB_HOST: "$(cluster.annotations['example.org/owner'])"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    DB_HOST: "pg.$(cluster.labels['region']).example.org"
"#,
    },
    Entry {
        code: Code::NoClusterSelected,
        severity: Severities::Warning,
        title: "nothing is selected",
        why: "Selector and taints leave no cluster: look at `clusterSelector` and at the clusters' labels (`segctl why`).",
        wrong: r"spec:
  clusterSelector:
    matchLabels: {env: production}
",
        right: r"spec:
  clusterSelector:
    matchLabels: {env: prod}
",
    },
    Entry {
        code: Code::Collision,
        severity: Severities::Error,
        title: "two Segments want the same CronJob of one cluster",
        why: "The one that holds it keeps it, else the older. Give one of them another name or `targetNamespace`.",
        wrong: r"metadata:
  name: visits
spec:
  targetNamespace: shared
",
        right: r"metadata:
  name: visits
spec:
  targetNamespace: crm
",
    },
    Entry {
        code: Code::SharedTable,
        severity: Severities::Warning,
        title: "two Segments write one table",
        why: "Same host, database, schema and name on one cluster: each run throws away what the other has made.",
        wrong: r"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_NAME: visits
",
        right: r"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_NAME: visits_by_shop
",
    },
    Entry {
        code: Code::UnknownField,
        severity: Severities::Error,
        title: "a field that the resource does not have",
        why: "Probably a typo. A variable that the script does not know belongs in `extraEnv`.",
        wrong: r#"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_INDEX: "by_event=(event_id)"
"#,
        right: r#"spec:
  env:
    TYPE: generic
    TARGET_SEGMENT_INDEXES: "by_event=(event_id)"
"#,
    },
    Entry {
        code: Code::WrongType,
        severity: Severities::Error,
        title: "a value of another type than the field's",
        why: "Variables are texts: numbers and booleans stand in quotes.",
        wrong: r"spec:
  env:
    DB_PORT: 5432
",
        right: r#"spec:
  env:
    DB_PORT: "5432"
"#,
    },
    Entry {
        code: Code::DuplicateSegment,
        severity: Severities::Error,
        title: "a Segment stands twice in the files given",
        why: "The later one would replace the earlier one.",
        wrong: r"metadata:
  name: visits
---
metadata:
  name: visits
",
        right: r"metadata:
  name: visits
---
metadata:
  name: visits-by-shop
",
    },
    Entry {
        code: Code::Unreadable,
        severity: Severities::Error,
        title: "a document that can't be read",
        why: "It is no YAML or JSON, or none of the shapes that are known.",
        wrong: r"spec: {env: [
",
        right: r"spec: {env: {TYPE: generic}}
",
    },
];
