//! Real child processes.
//!
//! ```text
//! test ──stdin (a pipe)──► sh ──► the program, output to a log file
//!                          └ when the pipe ends, the program is killed
//! ```
//! In: a program with its flags. Out: a process that can be killed, stopped, woken, ended and started again.
//! Law: it does not outlive this process, however that ends: the pipe's end is the signal, so no `Drop` needs to run.
//! Not: what the program is.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use crate::wait;

/// Starts the program, says its pid, kills it when stdin ends, says its exit status.
const SUPERVISOR: &str = r#"
log=$1; shift
exec 3<&0
"$@" 3<&- </dev/null >>"$log" 2>&1 &
child=$!
echo "$child"
{ cat <&3; kill -KILL "$child"; } >/dev/null 2>&1 &
wait "$child"
status=$?
exec 3<&-
echo "$status"
"#;

/// A program with its flags, which runs or does not.
#[derive(Debug)]
pub struct Process {
    name: String,
    program: PathBuf,
    arguments: Mutex<Vec<String>>,
    environment: Mutex<BTreeMap<String, String>>,
    log: PathBuf,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    supervisor: Child,
    output: BufReader<ChildStdout>,
    _pipe: ChildStdin,
    pid: u32,
}

impl Process {
    /// Describes a process; it does not run yet.
    pub fn new(name: &str, program: PathBuf, arguments: Vec<String>, log: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            program,
            arguments: Mutex::new(arguments),
            environment: Mutex::default(),
            log,
            running: Mutex::default(),
        }
    }

    /// Sets a variable for the next start.
    pub fn set(&self, name: &str, value: &str) {
        lock(&self.environment).insert(name.to_owned(), value.to_owned());
    }

    /// Sets a flag (`--name=value`) for the next start, in place of one of the same name.
    pub fn flag(&self, name: &str, value: &str) {
        let mut arguments = lock(&self.arguments);
        let start = format!("{name}=");
        arguments.retain(|argument| !argument.starts_with(&start));
        arguments.push(format!("{start}{value}"));
    }

    /// Starts it.
    pub fn start(&self) -> Result<()> {
        let mut running = lock(&self.running);
        ensure!(running.is_none(), "{} runs already", self.name);
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "sh"])
            .arg(&self.log)
            .arg(&self.program)
            .args(&*lock(&self.arguments))
            .env_clear()
            .envs(
                ["PATH", "HOME", "RUST_BACKTRACE"]
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .envs(&*lock(&self.environment))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("start {}", self.program.display()))?;
        let pipe = supervisor.stdin.take().context("a pipe")?;
        let mut output = BufReader::new(supervisor.stdout.take().context("a pipe")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let pid = line
            .trim()
            .parse()
            .with_context(|| format!("{} has no pid: {line:?}", self.name))?;
        *running = Some(Running {
            supervisor,
            output,
            _pipe: pipe,
            pid,
        });
        Ok(())
    }

    /// Its process id.
    pub fn pid(&self) -> Result<u32> {
        lock(&self.running)
            .as_ref()
            .map(|running| running.pid)
            .ok_or_else(|| anyhow!("{} does not run", self.name))
    }

    /// Whether it runs. One that was killed or ended no longer does, wanted or not.
    pub fn runs(&self) -> bool {
        self.pid().is_ok_and(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
                !stat
                    .rsplit(')')
                    .next()
                    .is_some_and(|rest| rest.trim_start().starts_with('Z'))
            })
        })
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let pid = self.pid()?;
        let status = Command::new("kill")
            .arg(format!("-{signal}"))
            .arg(pid.to_string())
            .status()
            .context("kill")?;
        ensure!(
            status.success(),
            "{} (pid {pid}) took no {signal}",
            self.name
        );
        Ok(())
    }

    /// SIGKILL, and waits until it is gone.
    pub async fn kill(&self) -> Result<()> {
        self.signal("KILL")?;
        self.gone(Duration::from_secs(10)).await.map(drop)
    }

    /// SIGSTOP: it keeps its connections and does nothing.
    pub fn pause(&self) -> Result<()> {
        self.signal("STOP")
    }

    /// SIGCONT.
    pub fn resume(&self) -> Result<()> {
        self.signal("CONT")
    }

    /// SIGTERM, and waits until it has ended. Its exit status.
    pub async fn end(&self) -> Result<i32> {
        self.signal("TERM")?;
        self.gone(Duration::from_secs(40)).await
    }

    /// SIGTERM or SIGKILL, as asked, and starts again.
    pub async fn restart(&self) -> Result<()> {
        self.end().await?;
        self.start()
    }

    /// Waits until it has ended by itself. Its exit status.
    pub async fn gone(&self, within: Duration) -> Result<i32> {
        wait::until(&format!("{} ends", self.name), within, || async {
            ensure!(!self.runs(), "it runs");
            Ok(())
        })
        .await?;
        let mut running = lock(&self.running).take().context("it ran")?;
        let mut line = String::new();
        running.output.read_line(&mut line)?;
        let _ = running.supervisor.wait();
        line.trim()
            .parse()
            .with_context(|| format!("{} left no exit status", self.name))
    }

    /// What it has logged, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The file of its log.
    pub fn log_file(&self) -> &Path {
        &self.log
    }

    /// Fails, with the end of its log, if it has ended unasked.
    pub fn check(&self) -> Result<()> {
        if self.runs() {
            return Ok(());
        }
        bail!(
            "{} does not run. The end of {}:\n{}",
            self.name,
            self.log.display(),
            tail(&self.log(), 15)
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut running) = lock(&self.running).take() {
            let _ = Command::new("kill")
                .arg("-KILL")
                .arg(running.pid.to_string())
                .stderr(Stdio::null())
                .status();
            let _ = running.supervisor.wait();
        }
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
