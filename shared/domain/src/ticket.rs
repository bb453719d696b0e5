//! The AMQP message "someone with a free slot should try to claim job J, dispatch N". It carries no payload: the row is the
//! truth, and a lost, late or duplicate ticket is harmless because the claim re-checks everything.

use serde::{Deserialize, Serialize};

use crate::{JobId, WorkerId};

/// Format number of the ticket's body.
pub const TICKET_FORMAT: u8 = 1;

/// A ticket, format 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    v: u8,
    /// The job to claim.
    pub job: JobId,
    /// The dispatch this ticket stands for; older ones are stale.
    pub seq: i32,
    /// The pool whose queue carries it.
    pub pool: String,
    /// 0 to 9, for brokers that order by it.
    pub priority: u8,
}

/// A ticket on its way, and whom it goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// The ticket.
    pub ticket: Ticket,
    /// A worker with a free slot that has the job's base version: it is offered the job before the pool hears of it.
    pub near: Option<WorkerId>,
}

impl From<Ticket> for Dispatch {
    fn from(ticket: Ticket) -> Self {
        Self { ticket, near: None }
    }
}

/// A body that is no ticket of a format known here.
#[derive(Debug, thiserror::Error)]
pub enum TicketError {
    /// Not JSON, or not these fields.
    #[error("not a ticket")]
    Malformed(#[source] serde_json::Error),
    /// Written by a newer Drydock.
    #[error("ticket format {0} is not known here (this build reads {TICKET_FORMAT})")]
    Format(u8),
}

impl Ticket {
    /// A ticket of the current format.
    pub fn new(job: JobId, seq: i32, pool: String, priority: u8) -> Self {
        Self { v: TICKET_FORMAT, job, seq, pool, priority }
    }

    /// The AMQP `message_id`: returns are matched by it.
    pub fn message_id(&self) -> String {
        format!("{}:{}", self.job, self.seq)
    }

    /// The body, under 300 bytes.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a ticket has no value JSON cannot hold")
    }

    /// Reads a body.
    ///
    /// # Errors
    /// The body is no ticket, or of another format.
    pub fn decode(body: &[u8]) -> Result<Self, TicketError> {
        let ticket: Self = serde_json::from_slice(body).map_err(TicketError::Malformed)?;
        if ticket.v == TICKET_FORMAT { Ok(ticket) } else { Err(TicketError::Format(ticket.v)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_stays_small() {
        let ticket = Ticket::new(JobId::generate(), i32::MAX, "p".repeat(63), 9);
        assert_eq!(Ticket::decode(&ticket.encode()).unwrap(), ticket);
        assert!(ticket.encode().len() < 300);
    }

    #[test]
    fn refuses_other_formats_and_garbage() {
        let mut ticket = Ticket::new(JobId::generate(), 1, "default".into(), 0);
        ticket.v = 2;
        assert!(matches!(Ticket::decode(&ticket.encode()), Err(TicketError::Format(2))));
        assert!(matches!(Ticket::decode(b"\xff"), Err(TicketError::Malformed(_))));
    }
}
