//! Sealed logs: any byte range, and lines.

use drydock_domain::AttemptId;
use drydock_storage::{SealedLog, SealedLogWriter, StorageErrorKind, read_log};

use crate::support::{TENANT, collect, noise, storage};

#[tokio::test]
async fn any_range_of_a_log_comes_back() {
    let storage = storage();
    let key = storage.keys(TENANT).log(AttemptId::generate());
    let mut text = Vec::new();
    for line in 0..60_000 {
        text.extend(format!("line {line} of the log\n").bytes());
    }
    text.extend(b"no newline at the end");
    let mut writer = SealedLogWriter::create(&std::env::temp_dir()).unwrap();
    // In pieces of odd sizes, as output comes.
    for (at, piece) in text.chunks(4099).enumerate() {
        writer.push(&piece[..at.min(piece.len())]).unwrap();
        writer.push(&piece[at.min(piece.len())..]).unwrap();
    }
    assert_eq!(writer.len(), text.len() as u64);
    writer.seal(&storage, &key).await.unwrap();

    let log = SealedLog::open(&storage, key.clone()).await.unwrap();
    assert_eq!((log.len(), log.lines()), (text.len() as u64, 60_000));
    let len = text.len() as u64;
    let frame = 256 << 10;
    for range in [0..len, 0..0, 0..1, len - 1..len, len..len + 5, frame - 1..frame + 1, frame..2 * frame, 7..u64::MAX] {
        let expected = &text[range.start.min(len) as usize..range.end.min(len) as usize];
        assert!(collect(log.read(range.clone())).await.unwrap() == expected, "{range:?}");
        assert!(collect(read_log(&storage, key.clone(), range.clone())).await.unwrap() == expected, "{range:?}");
    }
    for line in [0_u64, 1, 12_345, 30_000, 59_999, 60_000, 99_999] {
        let (start, before) = log.seek_line(line);
        let counted = text[..start as usize].iter().filter(|&&byte| byte == b'\n').count() as u64;
        assert_eq!(counted, before, "line {line}");
        assert!(before <= line);
        let wanted = line.min(60_000) - before;
        let rest = collect(log.read(start..start + 2 * frame)).await.unwrap();
        let found = rest.split(|&byte| byte == b'\n').nth(wanted as usize);
        if line < 60_000 {
            assert_eq!(found.unwrap(), format!("line {line} of the log").as_bytes());
        }
    }
}

#[tokio::test]
async fn an_index_longer_than_the_first_fetch_is_read_whole() {
    let storage = storage();
    let key = storage.keys(TENANT).log(AttemptId::generate());
    let mut writer = SealedLogWriter::create(&std::env::temp_dir()).unwrap();
    // 2,700 frames of 25 bytes of index each are more than 64 KiB.
    let frame = vec![b'\n'; 256 << 10];
    for _ in 0..2_700 {
        writer.push(&frame).unwrap();
    }
    writer.push(&noise(1, 10)).unwrap();
    writer.seal(&storage, &key).await.unwrap();
    let log = SealedLog::open(&storage, key).await.unwrap();
    assert_eq!(log.len(), 2_700 * (256 << 10) + 10);
    assert_eq!(collect(log.read(log.len() - 10..log.len())).await.unwrap(), noise(1, 10));
}

#[tokio::test]
async fn an_empty_log_makes_no_object() {
    let storage = storage();
    let key = storage.keys(TENANT).log(AttemptId::generate());
    let writer = SealedLogWriter::create(&std::env::temp_dir()).unwrap();
    assert!(writer.is_empty());
    writer.seal(&storage, &key).await.unwrap();
    assert_eq!(SealedLog::open(&storage, key).await.unwrap_err().kind(), StorageErrorKind::NotFound);
}
