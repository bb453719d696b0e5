//! What is reported of an attempt, in the words that workers use, and small enough for a frame.

use drydock_agent::AgentExit;
use drydock_database::report::Report;
use drydock_domain::{
    agent::{AgentRequest, MAX_RESULT_BYTES},
    daemon::MAX_FRAME,
};

use super::{super::command::Answer, changes::Changes};

/// Bytes of the last message that are kept.
const OUTPUT: usize = 4096;
/// Bytes that a report may have.
const MOST: usize = MAX_FRAME - (64 << 10);

/// What an agent did.
pub(crate) fn of_agent(exit: AgentExit, request: &AgentRequest, changes: &Changes) -> Report {
    let mut result = exit.result;
    // The fleet's own list wins over the agent's claims.
    result.created_files.clone_from(&changes.created);
    result.modified_files.clone_from(&changes.modified);
    result.deleted_files.clone_from(&changes.deleted);
    Report {
        summary: Some(result.summary.clone()).filter(|summary| !summary.is_empty()),
        output: exit.last_message.map(|message| cut(message, OUTPUT)),
        errors: result.errors.clone(),
        preview_url: result.preview_url.clone(),
        request: serde_json::to_value(request).ok(),
        result: serde_json::to_value(&result).ok(),
        run_s: Some(exit.duration.as_secs_f64()),
        tokens: result.usage,
        ..with(changes)
    }
}

/// What a command answered.
pub(crate) fn of_command(answer: &Answer, detail: Option<&str>, request: &AgentRequest, changes: &Changes) -> Report {
    Report {
        output: Some(cut(answer.stdout.clone(), OUTPUT)).filter(|output| !output.is_empty()),
        errors: detail.map(str::to_owned).into_iter().collect(),
        request: serde_json::to_value(request).ok(),
        result: Some(small(answer.clone())),
        ..with(changes)
    }
}

/// The answer as a document the fleet keeps: of one that is too long, ever less of its longer output.
fn small(mut answer: Answer) -> serde_json::Value {
    loop {
        let value = serde_json::to_value(&answer).unwrap_or_default();
        if value.to_string().len() <= MAX_RESULT_BYTES || answer.stdout.len() + answer.stderr.len() < 2 {
            return value;
        }
        let longer = if answer.stdout.len() < answer.stderr.len() { &mut answer.stderr } else { &mut answer.stdout };
        longer.truncate(longer.floor_char_boundary(longer.len() / 2));
        answer.truncated = true;
    }
}

/// Why it did not come to anything.
pub(crate) fn of_fault(detail: String) -> Report {
    Report { errors: vec![detail.clone()], detail: Some(detail), ..Report::default() }
}

fn with(changes: &Changes) -> Report {
    Report {
        created_files: changes.created.clone(),
        modified_files: changes.modified.clone(),
        deleted_files: changes.deleted.clone(),
        ..Report::default()
    }
}

/// A report for a frame: of one that is too long, ever less of its lists, and no agent's document.
pub(crate) fn fit(mut report: Report) -> serde_json::Value {
    loop {
        let value = serde_json::to_value(&report).unwrap_or_default();
        if value.to_string().len() <= MOST {
            return value;
        }
        if report.result.take().is_some() {
            continue;
        }
        for list in [&mut report.created_files, &mut report.modified_files, &mut report.deleted_files] {
            list.truncate(list.len() / 2);
        }
        report.errors.truncate(1);
    }
}

fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_fits_into_a_frame() {
        let long: Vec<String> = (0..10_000).map(|number| format!("{number}{}", "x".repeat(900))).collect();
        let report = Report {
            created_files: long.clone(),
            result: Some(serde_json::json!({"created_files": long})),
            ..of_fault("why".to_owned())
        };
        let value = fit(report);
        assert!(value.to_string().len() < MAX_FRAME);
        assert_eq!(value["detail"], "why");
        assert!(value["created_files"].as_array().unwrap().len() > 1000);
        let output = "\u{1}".repeat(512 << 10);
        let answer = Answer { stdout: output.clone(), stderr: output, exit_code: Some(3), ..Answer::default() };
        let kept = small(answer);
        assert!(kept.to_string().len() <= MAX_RESULT_BYTES);
        assert_eq!((&kept["exit_code"], &kept["truncated"]), (&serde_json::json!(3), &serde_json::json!(true)));
        assert!(kept["stdout"].as_str().unwrap().len() > 50_000 && kept["stderr"].as_str().unwrap().len() > 50_000);
    }
}
