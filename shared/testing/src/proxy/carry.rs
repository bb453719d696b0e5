//! One connection through the proxy, both directions.

use std::{io, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
};

use super::{
    traps::{Traps, Verdict},
    way::{Direction, Way},
};

const PIECE: usize = 16 << 10;

pub(super) async fn carry(mut client: TcpStream, target: String, mut way: watch::Receiver<Way>, traps: Arc<Traps>) {
    let epoch = way.borrow().epoch;
    let mut over = way.clone();
    let over = over.wait_for(|now| now.cut || now.epoch != epoch);
    let mut server = None;
    let ended = tokio::select! {
        biased;
        _cut_or_dropped = over => Err(io::ErrorKind::ConnectionReset.into()),
        ended = both(&mut client, &mut server, &target, &mut way, &traps) => ended,
    };
    if ended.is_err() {
        // Dropped without lingering, a socket tells its peer of a reset.
        let _gone = client.set_zero_linger();
        let _gone = server.map(|server| server.set_zero_linger());
    }
}

async fn both(
    client: &mut TcpStream,
    server: &mut Option<TcpStream>,
    target: &str,
    way: &mut watch::Receiver<Way>,
    traps: &Traps,
) -> io::Result<()> {
    // Dropped at once: what it returns locks the way.
    drop(way.wait_for(|now| !now.is_stalled()).await);
    let server = server.insert(TcpStream::connect(target).await?);
    for socket in [&*client, &*server] {
        socket.set_nodelay(true)?;
    }
    let ((client_says, client_hears), (server_says, server_hears)) = (client.split(), server.split());
    tokio::try_join!(
        pump(client_says, server_hears, Direction::ToServer, way.clone(), traps),
        pump(server_says, client_hears, Direction::ToClient, way.clone(), traps),
    )?;
    Ok(())
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    mut way: watch::Receiver<Way>,
    traps: &Traps,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let len = from.read(&mut piece).await?;
        if !way.borrow().passes(direction) {
            traps.hold(len);
        }
        let Ok(now) = way.wait_for(|now| now.passes(direction)).await.map(|now| *now) else {
            return Err(io::ErrorKind::ConnectionReset.into());
        };
        if !now.delay.is_zero() {
            tokio::time::sleep(now.delay).await;
        }
        if len == 0 {
            return to.shutdown().await;
        }
        if let Verdict::Cut(at) = traps.judge(direction, &piece[..len]) {
            to.write_all(&piece[..at]).await?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        to.write_all(&piece[..len]).await?;
    }
}
