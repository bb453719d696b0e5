//! Tickets: what is read is written and read back alike.
#![no_main]

use drydock_domain::Ticket;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(ticket) = Ticket::decode(data) {
        let body = ticket.encode();
        assert_eq!(Ticket::decode(&body).expect("our own ticket"), ticket);
        // No escape in JSON is longer than six bytes.
        assert!(body.len() <= 300 + 6 * ticket.pool.len());
        assert!(ticket.message_id().len() <= 48);
    }
});
