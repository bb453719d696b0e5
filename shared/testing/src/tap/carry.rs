//! One connection past the man in the middle, frame by frame.

use std::{collections::HashMap, io, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::Mutex,
};

use super::{
    frame::{Frame, Says},
    notes::{Notes, Verdict},
};

/// "AMQP" and its version: what a client says before its first frame.
const GREETING: usize = 8;
/// Hints go through another one.
const TICKETS: &[u8] = drydock_queue::topology::DISPATCH.as_bytes();

pub(super) async fn carry(mut client: TcpStream, target: String, notes: Arc<Notes>) {
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let connection = notes.connection();
    for socket in [&client, &server] {
        let _only_slower = socket.set_nodelay(true);
    }
    let ((client_says, client_hears), (server_says, server_hears)) = (client.split(), server.split());
    // Both write to the server: what the client says, and what is said in its name.
    let server_hears = Mutex::new(server_hears);
    let (up, down) = (Up { connection, notes: &notes }, Down { connection, notes: &notes, swallowed: HashMap::new() });
    let _ended: Result<((), ()), io::Error> =
        tokio::try_join!(up.carry(client_says, &server_hears), down.carry(server_says, client_hears, &server_hears));
    notes.disconnected(connection);
}

struct Up<'a> {
    connection: u64,
    notes: &'a Notes,
}

impl Up<'_> {
    async fn carry(self, mut from: ReadHalf<'_>, to: &Mutex<WriteHalf<'_>>) -> io::Result<()> {
        let mut greeting = [0; GREETING];
        from.read_exact(&mut greeting).await?;
        to.lock().await.write_all(&greeting).await?;
        loop {
            let frame = Frame::read(&mut from).await?;
            if let Says::Ack { tag, multiple } = frame.says() {
                self.notes.acknowledged((self.connection, frame.channel(), tag), multiple);
            }
            to.lock().await.write_all(frame.bytes()).await?;
        }
    }
}

struct Down<'a> {
    connection: u64,
    notes: &'a Notes,
    /// Contents being swallowed, by channel: nothing before their header, then the bytes left.
    swallowed: HashMap<u16, Option<u64>>,
}

impl Down<'_> {
    async fn carry(
        mut self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        back: &Mutex<WriteHalf<'_>>,
    ) -> io::Result<()> {
        loop {
            let frame = Frame::read(&mut from).await?;
            let (channel, says) = (frame.channel(), frame.says());
            if self.swallows(channel, &says) {
                continue;
            }
            if let Says::Deliver { tag, exchange } = says
                && exchange == TICKETS
            {
                match self.notes.judge((self.connection, channel, tag)) {
                    Verdict::Carry => {}
                    Verdict::Strand => {
                        self.swallowed.insert(channel, None);
                        continue;
                    }
                    Verdict::Lose => {
                        self.swallowed.insert(channel, None);
                        back.lock().await.write_all(Frame::ack(channel, tag).bytes()).await?;
                        continue;
                    }
                }
            }
            to.write_all(frame.bytes()).await?;
        }
    }

    /// Whether this frame belongs to a ticket that does not arrive.
    fn swallows(&mut self, channel: u16, says: &Says) -> bool {
        let Some(left) = self.swallowed.get(&channel).copied() else { return false };
        let left = match (says, left) {
            (Says::Header { bytes }, None) => *bytes,
            (Says::Body { bytes }, Some(left)) => left.saturating_sub(*bytes),
            _ => return false,
        };
        if left == 0 {
            self.swallowed.remove(&channel);
        } else {
            self.swallowed.insert(channel, Some(left));
        }
        true
    }
}
