//! What a server says: kept to its last lines, and listened to for its port.

use bytes::Bytes;
use regex_automata::meta::Regex;
use tokio::sync::watch;

use crate::{
    adapter::Tail,
    output::{Interpreter, Sink},
};

pub(super) struct Words<'a> {
    tail: Tail,
    pattern: Option<&'a Regex>,
    heard: watch::Sender<Option<u16>>,
}

impl<'a> Words<'a> {
    pub(super) fn new(pattern: Option<&'a Regex>, heard: watch::Sender<Option<u16>>) -> Self {
        Self { tail: Tail::default(), pattern, heard }
    }

    /// The last lines.
    pub(super) fn last(&self) -> Option<String> {
        Some(self.tail.text()).filter(|text| !text.is_empty())
    }
}

impl Interpreter for Words<'_> {
    async fn line(&mut self, line: Bytes, sink: &Sink) {
        // The first that fits: whatever it prints later, where it listens is said.
        if let Some(port) = self.pattern.and_then(|pattern| port_in(pattern, &line))
            && self.heard.borrow().is_none()
        {
            self.heard.send_replace(Some(port));
        }
        self.tail.line(line, sink).await;
    }
}

fn port_in(pattern: &Regex, line: &[u8]) -> Option<u16> {
    let mut found = pattern.create_captures();
    pattern.captures(line, &mut found);
    let group = found.get_group(1)?;
    std::str::from_utf8(&line[group.range()]).ok()?.parse().ok().filter(|port| *port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_group_is_the_port() {
        let pattern = Regex::new(r"running on http://[^:]+:(\d+)").unwrap();
        let port = |line: &[u8]| port_in(&pattern, line);
        assert_eq!(port(b"INFO: running on http://127.0.0.1:43121 (Press CTRL+C)"), Some(43121));
        assert_eq!(port(b"running on http://127.0.0.1:99999"), None);
        assert_eq!(port(b"\xff http://127.0.0.1:80"), None);
    }
}
