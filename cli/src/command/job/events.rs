//! `drydock job events`

use std::ops::ControlFlow;

use clap::Args;
use drydock_client::sse::Event;

use super::super::{Context, Patience, wait::Said};
use crate::{CliError, Exit, output::Format};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  drydock job events JOB
  drydock job events JOB --json | jq .data

Writes a line for each change of status and each step of progress, from the first one until the
job is over.")]
pub(in crate::command) struct EventsArgs {
    /// The job
    job: String,
    #[command(flatten)]
    pub(super) patience: Patience,
}

pub(super) async fn run(context: &Context, args: EventsArgs) -> Result<Exit, CliError> {
    let client = context.client()?;
    context.output.resumable(format!("drydock job events {}", args.job));
    let job = args.job.as_str();
    let output = &context.output;
    client
        .follow::<CliError>(
            |client| client.get(["jobs", job, "events"]),
            |event| {
                let written = match output.format() {
                    Format::Table => text(event).map_or(Ok(()), |line| output.line(&line)),
                    Format::Json | Format::Ndjson => output.line(&json(event)),
                    // A stream of documents (YAML 1.2 §9.2).
                    Format::Yaml => {
                        output.line("---").and_then(|()| output.answer(json(event).as_bytes(), String::new))
                    }
                };
                written.map(ControlFlow::Continue)
            },
        )
        .await?;
    Ok(Exit::Ok)
}

/// The line that the API's NDJSON form of the stream has.
fn json(event: &Event) -> String {
    let (name, data) = (serde_json::Value::from(event.name.as_str()), &event.data);
    match &event.id {
        Some(id) => format!("{{\"data\":{data},\"event\":{name},\"id\":{}}}", serde_json::Value::from(id.as_str())),
        None => format!("{{\"data\":{data},\"event\":{name}}}"),
    }
}

fn text(event: &Event) -> Option<String> {
    if event.name == "end" {
        return None;
    }
    let data: serde_json::Value = serde_json::from_str(&event.data).ok()?;
    let at = data["at"].as_str().unwrap_or_default();
    Some(crate::output::one_line(&format!("{at}  {:8}  {}", event.name, Said::read(event)?.text())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let event = Event {
            id: Some("7-1".to_owned()),
            name: "status".to_owned(),
            data: r#"{"at":"2025-11-21T05:20:11Z","status":"in_progress","status_detail":"running","attempt":1}"#
                .to_owned(),
        };
        assert_eq!(text(&event).unwrap(), "2025-11-21T05:20:11Z  status    in_progress: running");
        let line: serde_json::Value = serde_json::from_str(&json(&event)).unwrap();
        assert_eq!(
            (&line["id"], &line["event"], &line["data"]["attempt"]),
            (&"7-1".into(), &"status".into(), &1.into())
        );
        let end = Event { id: None, name: "end".to_owned(), data: "{}".to_owned() };
        assert_eq!((text(&end), json(&end).as_str()), (None, r#"{"data":{},"event":"end"}"#));
    }
}
