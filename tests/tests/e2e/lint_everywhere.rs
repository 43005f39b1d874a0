//! One verdict, wherever it is asked for: the corpus through `segctl lint`, the webhook, and the condition `Accepted`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use futures::StreamExt as _;
use segment_core::finding::Finding;
use segment_core::lint::lint;
use segment_core::segment::HouseDefaults;
use segment_tests::fleet::Stage;
use segment_tests::objects::condition;
use segment_tests::{paths, run, wait};
use serde_json::{Value, json};

/// Calls at a time: kubectl costs some processor time.
const AT_A_TIME: usize = 4;

/// What the condition's message is cut to, less what a cut adds.
const CONDITION_BYTES: usize = 2000;

/// A file of the corpus.
struct Case {
    name: String,
    file: PathBuf,
    broken: bool,
    /// `CODE FIELD[:OFFSET]` of each error.
    expected: BTreeSet<String>,
    /// As it is applied: in the stage's namespace, under a name of its own.
    segment: Value,
    /// What core says of it.
    findings: Vec<Finding>,
}

impl Case {
    fn read(file: PathBuf, broken: bool, namespace: &str) -> Result<Self> {
        let text = std::fs::read_to_string(&file)?;
        let expected = text
            .lines()
            .take_while(|line| line.starts_with('#'))
            .filter_map(|line| line.strip_prefix("# expect: "))
            .map(|said| said.trim().to_owned())
            .collect();
        let mut segment: Value = serde_saphyr::from_str(&text)?;
        segment["metadata"]["namespace"] = json!(namespace);
        let typed = serde_json::from_value(segment.clone())?;
        let findings = lint(&typed, &HouseDefaults::default(), jiff::Timestamp::now()).findings;
        let name = file
            .file_stem()
            .and_then(|name| name.to_str())
            .context("a file's name")?
            .to_owned();
        Ok(Self {
            name,
            file,
            broken,
            expected,
            segment,
            findings,
        })
    }

    fn errors(&self) -> Vec<String> {
        self.findings
            .iter()
            .filter(|finding| finding.is_error())
            .map(ToString::to_string)
            .collect()
    }

    /// What stands in the condition: the errors, or else the warnings.
    fn said(&self) -> Vec<String> {
        let errors = self.errors();
        if errors.is_empty() {
            self.findings.iter().map(ToString::to_string).collect()
        } else {
            errors
        }
    }

    fn warnings(&self) -> usize {
        self.findings.iter().filter(|f| !f.is_error()).count()
    }

    fn object(&self) -> &str {
        self.segment["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
    }
}

fn corpus(namespace: &str) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (kind, broken) in [("valid", false), ("broken", true)] {
        let folder = paths::root().join("tests/corpus").join(kind);
        for entry in std::fs::read_dir(&folder)? {
            let file = entry?.path();
            let about = file.display().to_string();
            cases.push(Case::read(file, broken, namespace).context(about)?);
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    let mut names = BTreeSet::new();
    for case in &mut cases {
        // Two files may use one name; the condition is looked up by it. A name that is the mistake stays.
        if !names.insert(case.object().to_owned()) {
            let name = format!("{}-again", case.object());
            case.segment["metadata"]["name"] = json!(name);
            ensure!(names.insert(name), "{}", case.name);
        }
    }
    ensure!(cases.len() >= 150, "only {} files", cases.len());
    Ok(cases)
}

/// `segctl lint -o json`: errors by file.
async fn segctl(stage: &Stage, cases: &[Case]) -> Result<BTreeMap<PathBuf, BTreeSet<String>>> {
    let folder = paths::root().join("tests/corpus");
    let folders = ["valid", "broken"].map(|kind| folder.join(kind).display().to_string());
    let printed = stage
        .hub
        .segctl()?
        .run(&["lint", "-o", "json", &folders[0], &folders[1]])
        .await?;
    ensure!(
        printed.status == 1,
        "exit {}: {}",
        printed.status,
        printed.err
    );
    let all: Vec<Value> = serde_json::from_str(&printed.out).context("segctl lint -o json")?;
    let mut found: BTreeMap<PathBuf, BTreeSet<String>> = cases
        .iter()
        .map(|case| (case.file.clone(), BTreeSet::new()))
        .collect();
    for finding in all.iter().filter(|finding| finding["severity"] == "error") {
        let text = |field: &str| finding[field].as_str().unwrap_or_default().to_owned();
        let offset = match &finding["offset"] {
            Value::Null => String::new(),
            offset => format!(":{offset}"),
        };
        found
            .get_mut(Path::new(&text("file")))
            .with_context(|| format!("a file of the corpus in {finding}"))?
            .insert(format!("{} {}{offset}", text("code"), text("field")));
    }
    Ok(found)
}

/// Who refused a Segment at admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    Nobody,
    Webhook,
    /// The schema or a CEL rule, which the API server judges first.
    ApiServer,
}

/// `kubectl apply --dry-run=server`.
async fn at_admission(stage: &Stage, case: &Case) -> Result<Refused> {
    let printed = stage
        .hub
        .plane
        .kubectl()?
        .run_with(
            &["apply", "--server-side", "--dry-run=server", "-f", "-"],
            &case.segment.to_string(),
        )
        .await?;
    let warnings = printed
        .err
        .lines()
        .filter(|line| line.starts_with("Warning: spec."))
        .count();
    if printed.status == 0 {
        ensure!(
            warnings == case.warnings().min(16),
            "{} warnings, not {}: {}",
            warnings,
            case.warnings(),
            printed.err
        );
        return Ok(Refused::Nobody);
    }
    let Some((_, said)) = printed.err.split_once("denied the request: ") else {
        return Ok(Refused::ApiServer);
    };
    let said: Vec<&str> = said.trim_end().lines().collect();
    ensure!(
        said == case.errors(),
        "webhook: {said:?}\ncore: {:?}",
        case.errors()
    );
    Ok(Refused::Webhook)
}

/// The condition Accepted, as `(is_true, message)`.
async fn in_condition(stage: &Stage, case: &Case) -> Result<(bool, String)> {
    stage.apply(&case.segment).await?;
    wait::until("it is judged", wait::SOON, || async {
        let segment = stage.segments().get(case.object()).await?;
        let accepted = condition(&segment, "Accepted").context("no condition Accepted")?;
        ensure!(
            accepted["observedGeneration"] == segment["metadata"]["generation"],
            "{accepted}"
        );
        let message = accepted["message"].as_str().unwrap_or_default().to_owned();
        Ok((accepted["status"] == "True", message))
    })
    .await
}

#[test]
fn the_corpus_has_one_verdict_offline_at_admission_and_in_the_condition() -> Result<()> {
    run(async {
        // No cluster: the corpus selects whatever it likes.
        let stage = Stage::own("lint-everywhere", &[]).await?;
        let cases = corpus(&stage.name)?;
        let mut wrong = Vec::new();

        let offline = segctl(&stage, &cases).await?;
        for case in &cases {
            let found = &offline[&case.file];
            if *found != case.expected {
                wrong.push(format!(
                    "{}: segctl: {found:?}, not {:?}",
                    case.name, case.expected
                ));
            }
        }

        let refused: Vec<_> = futures::stream::iter(&cases)
            .map(async |case| (case, at_admission(&stage, case).await))
            .buffered(AT_A_TIME)
            .collect()
            .await;
        let mut accepted_by_api_server = Vec::new();
        let mut count = BTreeMap::new();
        for (case, refused) in refused {
            match refused {
                Ok(refused) => {
                    *count.entry(format!("{refused:?}")).or_insert(0) += 1;
                    if (refused != Refused::Nobody) != case.broken {
                        wrong.push(format!("{}: refused by {refused:?}", case.name));
                    }
                    if refused != Refused::ApiServer {
                        accepted_by_api_server.push(case);
                    }
                }
                Err(error) => wrong.push(format!("{}: {error:#}", case.name)),
            }
        }
        println!("{} files, refused by {count:?}", cases.len());

        stage.without_webhook().await?;
        let judged: Vec<_> = futures::stream::iter(accepted_by_api_server)
            .map(async |case| (case, in_condition(&stage, case).await))
            .buffered(AT_A_TIME)
            .collect()
            .await;
        for (case, judged) in judged {
            let said = case.said().join("; ");
            match judged {
                Ok((accepted, message)) => {
                    let same = message == said
                        || message.len() > CONDITION_BYTES
                            && said.starts_with(message.get(..1900).unwrap_or(&message));
                    if accepted == case.broken || !same {
                        wrong.push(format!(
                            "{}: condition {accepted}: {message}, not {said}",
                            case.name
                        ));
                    }
                }
                Err(error) => wrong.push(format!("{}: {error:#}", case.name)),
            }
        }
        if !wrong.is_empty() {
            bail!("{} differences:\n{}", wrong.len(), wrong.join("\n"));
        }
        Ok(())
    })
}
