//! Server-sent events (WHATWG HTML §9.2.6): bytes in, events out. Only what the API sends; `retry` is read and left to the caller.

use bytes::Bytes;

/// Longest line accepted: an event's data is one line.
const MAX_LINE: usize = 4 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Where to resume after it, where the server says so.
    pub id: Option<String>,
    /// What kind.
    pub name: String,
    /// What happened.
    pub data: String,
}

/// Cuts a stream into events.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    /// The last byte was a CR, so that an LF now belongs to it.
    after_cr: bool,
    event: Event,
    has_data: bool,
}

/// A line longer than any of ours: whatever sends it is not the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Parser {
    /// The events that end in `bytes`.
    ///
    /// # Errors
    /// A line is too long.
    pub fn feed(&mut self, bytes: &Bytes) -> Result<Vec<Event>, TooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            let belongs = std::mem::replace(&mut self.after_cr, byte == b'\r') && byte == b'\n';
            match byte {
                b'\n' if belongs => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                _ if self.line.len() == MAX_LINE => return Err(TooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(events)
    }

    fn end_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" if !value.contains('\0') => self.event.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: Option<&str>, name: &str, data: &str) -> Event {
        Event { id: id.map(str::to_owned), name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn events_are_cut_wherever_the_bytes_are() {
        let text = "retry: 2000\n\n: alive\n\nid: 7-1\nevent: status\ndata: {\"a\":1}\n\ndata: one\r\ndata:two\r\n\r\nevent: end\ndata: {}\n\n";
        let expected =
            vec![event(Some("7-1"), "status", "{\"a\":1}"), event(None, "", "one\ntwo"), event(None, "end", "{}")];
        for step in [1, 2, 3, 7, text.len()] {
            let mut parser = Parser::default();
            let parts = text.as_bytes().chunks(step).map(Bytes::copy_from_slice);
            let events: Vec<Event> = parts.flat_map(|part| parser.feed(&part).unwrap()).collect();
            assert_eq!(events, expected, "in steps of {step}");
        }
    }

    #[test]
    fn an_unfinished_event_is_none() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(&Bytes::from_static(b"id: 1\ndata: x\n")), Ok(Vec::new()));
        assert_eq!(parser.feed(&Bytes::from(vec![b'x'; MAX_LINE + 1])), Err(TooLong));
    }
}
