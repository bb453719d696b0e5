//! What a collection did, would do, or found, in words.

use drydock_collector::{Audit, AuditOptions, CollectorConfig, Finding, Pass};
use drydock_database::{
    pack::{Explained, Tally, Verdict},
    retention::Pending,
};

use crate::{
    CliError,
    output::{Output, mebibytes},
};

pub(super) fn lines(output: &Output, lines: &[String]) -> Result<(), CliError> {
    lines.iter().try_for_each(|line| output.line(line))
}

/// What one pass did; one line at least.
pub(super) fn pass(pass: &Pass) -> Vec<String> {
    let mut lines = Vec::new();
    let mut count = |count: u64, what: &str| {
        if count > 0 {
            lines.push(format!("dropped {count} {what}"));
        }
    };
    count(pass.versions, "versions that no retention keeps");
    count(pass.trees, "trees of failed attempts");
    count(pass.of_deleted, "versions and trees of deleted projects");
    count(pass.logs, "logs of deleted projects");
    let mut objects = |tally: Tally, what: &str| {
        if tally.objects > 0 {
            lines.push(format!("{what}: {}", size(tally)));
        }
    };
    objects(pass.judged.dropped, "condemned, nothing names them any more");
    objects(pass.judged.orphaned, "condemned, uploads that nobody finished");
    objects(pass.judged.named, "kept, something else names them");
    objects(pass.judged.pinned, "kept, running attempts started from them");
    objects(pass.revived, "kept at the last look, something names them after all");
    objects(pass.deletion.deleted, "deleted");
    for (kind, count) in &pass.deletion.failures {
        lines.push(format!("not deleted, left for the next time: {count} ({kind})"));
    }
    if lines.is_empty() {
        lines.push("nothing to do".to_owned());
    }
    lines
}

/// What a pass would do, and why not more.
pub(super) fn dry_run(pending: &[Pending], explained: &[Explained], config: &CollectorConfig) -> Vec<String> {
    let mut lines = Vec::new();
    for tenant in pending {
        lines.push(format!("tenant {}", tenant.tenant));
        let drops = [
            (tenant.versions, "versions that no retention keeps"),
            (tenant.trees, "trees of failed attempts"),
            (tenant.projects, "deleted projects of which something is left"),
        ];
        lines.extend(
            drops.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("  would drop {count} {what}")),
        );
        let mut own: Vec<&Explained> = explained.iter().filter(|it| it.tenant == tenant.tenant).collect();
        own.sort_by_key(|it| it.verdict);
        lines.extend(own.iter().map(|it| format!("  {}: {}", why(it.verdict, config), size(it.tally))));
        if own.is_empty() {
            lines.push("  no objects".to_owned());
        }
    }
    lines
}

fn why(verdict: Verdict, config: &CollectorConfig) -> String {
    let (grace, stay) = (config.gc_grace, config.gc_condemned_for);
    match verdict {
        Verdict::Live => "keep, nothing that named them was dropped".to_owned(),
        Verdict::Named => "keep, something was dropped that named them, but something else does".to_owned(),
        Verdict::Pinned => "keep, running attempts started from them".to_owned(),
        Verdict::YoungSuspect => format!("keep, they lost their last name less than {grace:?} ago"),
        Verdict::Uploading => "keep, the attempts that upload them are running".to_owned(),
        Verdict::YoungUpload => format!("keep, announced less than {grace:?} ago"),
        Verdict::Condemn => "would condemn, nothing names them any more".to_owned(),
        Verdict::CondemnOrphan => "would condemn, uploads that nobody finished".to_owned(),
        Verdict::Condemned => format!("condemned, not for {stay:?} yet"),
        Verdict::Delete => format!("would delete, condemned for more than {stay:?}"),
        Verdict::Deleting => "being deleted".to_owned(),
    }
}

/// What an audit found.
pub(super) fn audit(audit: &Audit, options: AuditOptions) -> Vec<String> {
    let mut lines = vec![format!("sound: {}", size(audit.sound))];
    if audit.young.objects > 0 {
        lines.push(format!("unknown, but younger than {:?}: {}", options.orphan_age, size(audit.young)));
    }
    let mut finding = |what: &str, finding: &Finding| {
        if finding.tally.objects > 0 {
            lines.push(format!("{what}: {}", size(finding.tally)));
            lines.extend(finding.first.iter().map(|key| format!("  {key}")));
        }
    };
    finding("without a row, but needed: left alone", &audit.unrecorded);
    finding("orphans, nobody knows of them", &audit.orphans);
    finding("MISSING, versions need them", &audit.missing);
    if options.delete {
        lines.push(format!("deleted: {}", size(audit.deletion.deleted)));
    }
    for (kind, count) in &audit.deletion.failures {
        lines.push(format!("not deleted, left for the next collection: {count} ({kind})"));
    }
    lines
}

fn size(Tally { objects, bytes }: Tally) -> String {
    let plural = if objects == 1 { "" } else { "s" };
    format!("{objects} object{plural}, {}", mebibytes(bytes))
}
