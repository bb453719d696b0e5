//! The eight checks.

use std::{future::Future, pin::Pin};

use anyhow::{Context as _, Result, bail, ensure};
use drydock_client::{Document, views::Job};

use super::{evidence::Place, secrets, stack::Stack};

const CREATE: &str = "Create a small Python project: README.md, app.py that prints the first ten Fibonacci numbers separated by \
    spaces when it is run, and tests/test_cli.py that runs app.py and checks its output.";
const COMMENT: &str = "Append one comment line to the end of app.py. Change nothing else.";
const REFACTOR: &str =
    "Do a small refactor of app.py: rename the function that computes the numbers. Its output stays the same.";
const FORCE_ERROR: &str = "force_error: end with an error, so that errors are seen to arrive.";
const LONG_RUN: &str = "A long run: create README.md, app.py that prints the first ten Fibonacci numbers separated by spaces, and \
    tests/test_cli.py for it; work slowly and thoroughly, document every function, run the tests after each step, and go over all of \
    it a second time before you finish.";

/// The agents that know `force_error`.
const FORCEABLE: [&str; 2] = ["dummy", "container"];

/// How a check went that did not fail.
pub(super) enum Verdict {
    Passed,
    NotApplicable,
}

type Running<'s> = Pin<Box<dyn Future<Output = Result<Verdict>> + 's>>;

/// One check.
pub(super) struct Check {
    pub(super) id: &'static str,
    pub(super) what: &'static str,
    pub(super) run: for<'s> fn(&'s mut Stack, &'s Place) -> Running<'s>,
}

/// All of them, in order.
pub(super) const CHECKS: [Check; 8] = [
    Check {
        id: "L01",
        what: "secrets are told as present or absent",
        run: |stack, place| Box::pin(presence(stack, place)),
    },
    Check { id: "L02", what: "the three files exist", run: |stack, place| Box::pin(made(stack, place)) },
    Check { id: "L03", what: "the list holds both .codex files", run: |stack, place| Box::pin(listed(stack, place)) },
    Check { id: "L04", what: "app.py is not empty", run: |stack, place| Box::pin(not_empty(stack, place)) },
    Check { id: "L05", what: "an edit appends a comment", run: |stack, place| Box::pin(comment(stack, place)) },
    Check {
        id: "L06",
        what: "a small refactor, or a stated limitation",
        run: |stack, place| Box::pin(refactor(stack, place)),
    },
    Check {
        id: "L07",
        what: "a forced error arrives as one",
        run: |stack, place| Box::pin(forced_error(stack, place)),
    },
    Check {
        id: "L08",
        what: "a long run ends well or with a stated error",
        run: |stack, place| Box::pin(long_run(stack, place)),
    },
];

async fn presence(stack: &mut Stack, place: &Place) -> Result<Verdict> {
    let (project, job) = stack.create(place, CREATE).await?;
    let log = stack.log(place, &job.value).await?;
    // The result exists even of a job that failed, and says why.
    let result = stack.result(place, &job.value).await?;
    completed(&job)?;
    secrets::told(&log)?;
    for name in secrets::NAMES {
        let text = result.to_string();
        let values = text.split(&format!("{name}=")).skip(1).map(str::to_owned).collect::<Vec<_>>();
        let fine = |value: &String| value.starts_with("present") || value.starts_with("absent");
        ensure!(values.iter().all(fine), "result.json has {name}= with something else than present or absent");
    }
    stack.project = Some((project, job));
    Ok(Verdict::Passed)
}

async fn made(stack: &mut Stack, place: &Place) -> Result<Verdict> {
    let project = project(stack, place)?;
    let listed = stack.files(place, &project).await?;
    for path in ["README.md", "app.py", "tests/test_cli.py"] {
        ensure!(listed.iter().any(|known| known == path), "{path} is not in the list of files");
        stack.content(&project, path).await?.with_context(|| format!("{path} is listed, but cannot be read"))?;
    }
    Ok(Verdict::Passed)
}

async fn listed(stack: &mut Stack, place: &Place) -> Result<Verdict> {
    let project = project(stack, place)?;
    let listed = stack.files(place, &project).await?;
    for path in [".codex/request.json", ".codex/result.json"] {
        ensure!(listed.iter().any(|known| known == path), "{path} is not in the list of files");
    }
    Ok(Verdict::Passed)
}

async fn not_empty(stack: &mut Stack, place: &Place) -> Result<Verdict> {
    let project = project(stack, place)?;
    let app = stack.app(place, &project).await?;
    ensure!(!app.trim().is_empty(), "app.py is empty");
    Ok(Verdict::Passed)
}

async fn comment(stack: &mut Stack, place: &Place) -> Result<Verdict> {
    let project = project(stack, place)?;
    let before = stack.app(place, &project).await?;
    let job = stack.edit(place, &project, COMMENT).await?;
    stack.log(place, &job.value).await?;
    stack.result(place, &job.value).await?;
    completed(&job)?;
    modified(&job)?;
    let after = stack.app(place, &project).await?;
    let comments = |text: &str| text.lines().filter(|line| line.trim_start().starts_with('#')).count();
    ensure!(comments(&after) > comments(&before), "app.py has no more comment lines than before");
    Ok(Verdict::Passed)
}

async fn refactor(stack: &mut Stack, place: &Place) -> Result<Verdict> {
    let project = project(stack, place)?;
    let job = stack.edit(place, &project, REFACTOR).await?;
    stack.log(place, &job.value).await?;
    let result = stack.result(place, &job.value).await?;
    stack.app(place, &project).await?;
    if job.value.status == "completed" {
        modified(&job)?;
    } else {
        stated_error(&job, &result)?;
    }
    Ok(Verdict::Passed)
}

async fn forced_error(stack: &mut Stack, place: &Place) -> Result<Verdict> {
    if !FORCEABLE.contains(&stack.agent_in_use.as_str()) {
        place.write("notes.txt", format!("not applicable: the agent is {}\n", stack.agent_in_use))?;
        return Ok(Verdict::NotApplicable);
    }
    let (_, job) = stack.create(place, FORCE_ERROR).await?;
    stack.log(place, &job.value).await?;
    let result = stack.result(place, &job.value).await?;
    ensure!(job.value.status == "error", "the job's status is {}, not error", job.value.status);
    ensure!(
        job.value.errors.iter().any(|error| error == "forced_error"),
        "the job's errors are {:?}",
        job.value.errors
    );
    ensure!(result["status"] == "error", "result.json has status {}", result["status"]);
    Ok(Verdict::Passed)
}

async fn long_run(stack: &mut Stack, place: &Place) -> Result<Verdict> {
    let (_, job) = stack.create(place, LONG_RUN).await?;
    stack.log(place, &job.value).await?;
    let result = stack.result(place, &job.value).await?;
    if job.value.status != "completed" {
        stated_error(&job, &result)?;
    }
    let last = job.value.attempts.last().context("the job has no attempt")?;
    let ended = last.outcome.as_deref().unwrap_or("running");
    ensure!(
        job.value.attempts.len() == 1,
        "the fleet needed {} attempts, the last one {ended}",
        job.value.attempts.len()
    );
    stack.is_ready().await?;
    Ok(Verdict::Passed)
}

/// The project that L01 made; named in every check's evidence.
fn project(stack: &Stack, place: &Place) -> Result<String> {
    let (project, job) = stack.project.as_ref().context("L01 made no project")?;
    place.write("project_id.txt", format!("{project}\n"))?;
    place.write("response.json", &job.raw)?;
    Ok(project.clone())
}

fn completed(job: &Document<Job>) -> Result<()> {
    let Job { id, status, errors, .. } = &job.value;
    ensure!(status == "completed", "job {id} ended as {status}: {}", errors.join("; "));
    Ok(())
}

fn modified(job: &Document<Job>) -> Result<()> {
    let files = &job.value.modified_files;
    ensure!(files.iter().any(|path| path == "app.py"), "app.py is not among the modified files {files:?}");
    Ok(())
}

/// An error in the form that is promised: the job's, with words, and the same in the result.
fn stated_error(job: &Document<Job>, result: &serde_json::Value) -> Result<()> {
    let Job { status, errors, .. } = &job.value;
    if status != "error" || errors.iter().all(|error| error.trim().is_empty()) {
        bail!("the job ended as {status} with errors {errors:?}: that is no stated error");
    }
    ensure!(result["status"] == "error", "result.json has status {}, the job {status}", result["status"]);
    Ok(())
}
