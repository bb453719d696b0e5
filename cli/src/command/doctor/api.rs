//! The API: whether it answers, is ready and ours, and what time it has.

use chrono::{DateTime, TimeDelta, Utc};
use drydock_runtime::{
    build_info::VERSION,
    doctor::{Finding, Report},
    exit::chain,
};
use reqwest::header;
use serde_json::Value;
use tokio::time::Instant;

use super::LIMIT;
use drydock_client::{Client, ClientError, Document};

/// Clocks that differ by more deserve a look: `Date` has whole seconds, and an answer takes some of one.
const SKEW_SEEN: TimeDelta = TimeDelta::seconds(3);
/// S3 refuses signatures that are 15 minutes off; a third of that is no accident.
const SKEW_MAX: TimeDelta = TimeDelta::seconds(300);

/// Looks at all of it; whether there is a point in asking more.
pub(super) async fn look(client: &Client, report: &mut Report) -> bool {
    let asked = Instant::now();
    let answer = match client.get_at_root("livez").limit(LIMIT).send().await {
        Ok(answer) => answer,
        Err(error) => {
            report.add(Finding::failure("api", chain(&error), "start drydock-api, or set --server or DRYDOCK_API_URL"));
            return false;
        }
    };
    let took = asked.elapsed();
    report.add(Finding::ok("api", format!("{} answers in {} ms", client.server(), took.as_millis())));
    let date = answer.headers().get(header::DATE).and_then(|date| date.to_str().ok());
    report.add(clock(date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()).map(Into::into), Utc::now()));
    report.add(ready(client).await);
    report.add(version(client).await);
    let auth = auth(client).await;
    let is_let_in = matches!(auth.verdict, drydock_runtime::doctor::Verdict::Ok);
    report.add(auth);
    is_let_in
}

fn clock(theirs: Option<DateTime<Utc>>, ours: DateTime<Utc>) -> Finding {
    let Some(theirs) = theirs else {
        return Finding::skipped("clock", "the API does not say its time", "compare the clocks by hand");
    };
    let skew = ours - theirs;
    let what = format!("this clock is {} s {} the API's", skew.num_seconds().abs(), side(skew));
    let remedy = "let both hosts keep time (chrony, systemd-timesyncd)";
    match skew.abs() {
        skew if skew > SKEW_MAX => Finding::failure("clock", what, remedy),
        skew if skew > SKEW_SEEN => Finding::warning("clock", what, remedy),
        _ => Finding::ok("clock", "this clock and the API's agree"),
    }
}

fn side(skew: TimeDelta) -> &'static str {
    if skew > TimeDelta::zero() { "ahead of" } else { "behind" }
}

/// `/readyz` answers 503 where it is not, and says what in the detail of the error.
async fn ready(client: &Client) -> Finding {
    let body = match client.get_at_root("readyz").limit(LIMIT).bytes().await {
        Ok(body) => body,
        Err(ClientError::Refused(refusal)) => refusal.body,
        Err(error) => return Finding::failure("ready", chain(&error), "look at the API's log"),
    };
    let mut said: Value = serde_json::from_slice(&body).unwrap_or_default();
    if said["detail"].is_object() {
        said = said["detail"].take();
    }
    if said["ready"] == true {
        return Finding::ok("ready", "the API reaches PostgreSQL and finds its schema");
    }
    if said["draining"] == true {
        return Finding::failure("ready", "the API is stopping", "start it again, or ask another replica");
    }
    let checks = said["checks"].as_object().into_iter().flatten();
    let away: Vec<String> = checks
        .filter(|(_, said)| *said != "ok")
        .map(|(name, said)| format!("{name}: {}", said.as_str().unwrap_or("is away")))
        .collect();
    let what = if away.is_empty() { "the API says it is not ready".to_owned() } else { away.join("; ") };
    Finding::failure("ready", what, "bring back what is named, or correct the API's setting of it")
}

async fn version(client: &Client) -> Finding {
    let answer: Result<Document<Value>, _> = client.get_at_root("version").limit(LIMIT).document().await;
    match answer.map(|answer| answer.value["version"].as_str().map(ToOwned::to_owned)) {
        Ok(Some(theirs)) if theirs == VERSION => {
            Finding::ok("version", format!("this command and the API are {VERSION}"))
        }
        Ok(Some(theirs)) => {
            let what = format!("this command is {VERSION}, the API {theirs}");
            Finding::warning("version", what, "install the command of the API's release")
        }
        Ok(None) => Finding::failure("version", "what answers is not Drydock's API", "set --server or DRYDOCK_API_URL"),
        Err(error) => Finding::failure("version", chain(&error), "set --server or DRYDOCK_API_URL"),
    }
}

async fn auth(client: &Client) -> Finding {
    match client.get(["limits"]).limit(LIMIT).bytes().await {
        Ok(_) => Finding::ok("auth", "the API lets this command in"),
        Err(ClientError::Refused(refusal)) if matches!(refusal.status.as_u16(), 401 | 403) => {
            let what = ClientError::Refused(refusal).to_string();
            Finding::failure(
                "auth",
                what,
                "drydock login, or set DRYDOCK_API_KEY or DRYDOCK_API_KEY_FILE to a key of this API",
            )
        }
        Err(error) => Finding::failure("auth", chain(&error), "look at the API's log"),
    }
}

#[cfg(test)]
mod tests {
    use drydock_runtime::doctor::Verdict;

    use super::*;

    #[test]
    fn clocks_may_differ_a_little() {
        let now = Utc::now();
        let of = |seconds| clock(Some(now - TimeDelta::seconds(seconds)), now);
        assert!([0, 3, -3].map(of).iter().all(|finding| finding.verdict == Verdict::Ok));
        let ahead = of(200);
        assert!(matches!(ahead.verdict, Verdict::Warning(_)));
        assert_eq!(ahead.what, "this clock is 200 s ahead of the API's");
        let behind = of(-301);
        assert!(matches!(behind.verdict, Verdict::Failure(_)));
        assert_eq!(behind.what, "this clock is 301 s behind the API's");
        assert!(matches!(clock(None, now).verdict, Verdict::Skipped(_)));
    }
}
