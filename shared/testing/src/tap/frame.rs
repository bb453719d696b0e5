//! AMQP 0-9-1 frames, as far as tickets need them: type, channel, size, payload, end (specification, 2.3.5).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

const HEADER: usize = 7;
const END: u8 = 0xCE;
const METHOD: u8 = 1;
const CONTENT_HEADER: u8 = 2;
const BODY: u8 = 3;
const BASIC: u16 = 60;
const DELIVER: u16 = 60;
const ACK: u16 = 80;

/// One frame, with its header and its end.
pub(super) struct Frame(Vec<u8>);

/// What of a frame concerns tickets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// `basic.deliver`; its header and its body follow.
    Deliver { tag: u64, exchange: Vec<u8> },
    /// The header of a content, and the bytes of its body.
    Header { bytes: u64 },
    /// A part of a body.
    Body { bytes: u64 },
    /// `basic.ack`.
    Ack { tag: u64, multiple: bool },
    /// Anything else.
    Other,
}

impl Frame {
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut frame = vec![0; HEADER];
        from.read_exact(&mut frame).await?;
        let size = u32::from_be_bytes([frame[3], frame[4], frame[5], frame[6]]);
        frame.resize(HEADER + usize::try_from(size).map_err(io::Error::other)? + 1, 0);
        from.read_exact(&mut frame[HEADER..]).await?;
        if frame.last() == Some(&END) { Ok(Self(frame)) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// The acknowledgement of one delivery.
    pub(super) fn ack(channel: u16, tag: u64) -> Self {
        let mut frame = vec![METHOD];
        frame.extend(channel.to_be_bytes());
        frame.extend(13_u32.to_be_bytes());
        frame.extend(BASIC.to_be_bytes());
        frame.extend(ACK.to_be_bytes());
        frame.extend(tag.to_be_bytes());
        frame.extend([0, END]);
        Self(frame)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn channel(&self) -> u16 {
        u16::from_be_bytes([self.0[1], self.0[2]])
    }

    pub(super) fn says(&self) -> Says {
        let payload = &self.0[HEADER..self.0.len() - 1];
        match self.0[0] {
            METHOD => method(payload).unwrap_or(Says::Other),
            CONTENT_HEADER => payload.get(4..).and_then(long).map_or(Says::Other, |bytes| Says::Header { bytes }),
            BODY => Says::Body { bytes: payload.len() as u64 },
            _ => Says::Other,
        }
    }
}

fn method(payload: &[u8]) -> Option<Says> {
    let (class, method) = (short(payload)?, short(payload.get(2..)?)?);
    let arguments = payload.get(4..)?;
    match (class, method) {
        (BASIC, DELIVER) => {
            let (_consumer, rest) = text(arguments)?;
            let (exchange, _) = text(rest.get(9..)?)?;
            Some(Says::Deliver { tag: long(rest)?, exchange: exchange.to_vec() })
        }
        (BASIC, ACK) => Some(Says::Ack { tag: long(arguments)?, multiple: arguments.get(8)? & 1 == 1 }),
        _ => Some(Says::Other),
    }
}

fn short(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

fn long(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// A short string, and what follows it.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_acknowledgement_reads_back() {
        let ack = Frame::ack(3, 7);
        let read = Frame::read(&mut ack.bytes()).await.unwrap();
        assert_eq!((read.channel(), read.says()), (3, Says::Ack { tag: 7, multiple: false }));
        assert!(Frame::read(&mut &ack.bytes()[..8]).await.is_err());
    }
}
