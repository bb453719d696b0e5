//! The table of attacks and levels, as Markdown.

use std::fmt::Write as _;

use super::{GROUPS, Report};
use crate::Network;

/// Every attack, and what came of it in each of `reports`: denied, or allowed with the number of the reason below.
pub fn table(reports: &[Report]) -> String {
    let (mut text, mut reasons) = (String::new(), Vec::new());
    let mut cases: Vec<_> = reports.iter().map(|report| report.cases.iter()).collect();
    for group in GROUPS {
        let levels: String = reports.iter().map(|report| format!(" {} |", heading(report))).collect();
        let _ = write!(text, "### {}\n\n| Attack | What it tries |{levels}\n", group.title);
        let _ = writeln!(text, "|---|---|{}", "---|".repeat(reports.len()));
        for attack in group.attacks {
            let _ = write!(text, "| `{}` | {} |", attack.name, attack.what);
            for (report, cases) in reports.iter().zip(&mut cases) {
                let escaped = cases.next().is_none_or(super::Case::escaped);
                let _ =
                    write!(text, " {} |", cell(escaped, attack.expected(report.level, &report.network), &mut reasons));
            }
            text.push('\n');
        }
        text.push('\n');
    }
    for (index, reason) in reasons.iter().enumerate() {
        let (first, rest) = reason.split_at(1);
        let _ = writeln!(text, "{}. {}{rest}.", index + 1, first.to_uppercase());
    }
    text
}

fn heading(report: &Report) -> String {
    match report.network {
        Network::Closed => format!("`{}`", report.level),
        Network::Ports { .. } => format!("`{}`, ports", report.level),
        Network::Broker { .. } => format!("`{}`, broker", report.level),
        Network::Open => format!("`{}`, open", report.level),
    }
}

fn cell(escaped: bool, expected: super::Expected, reasons: &mut Vec<&'static str>) -> String {
    let super::Expected::Allowed(reason) = expected else {
        return if escaped { "**allowed**" } else { "denied" }.into();
    };
    if !escaped {
        return "denied".into();
    }
    let known = reasons.iter().position(|known| *known == reason);
    let number = known.unwrap_or_else(|| {
        reasons.push(reason);
        reasons.len() - 1
    });
    format!("allowed ({})", number + 1)
}
