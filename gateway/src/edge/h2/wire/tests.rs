use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SECONDS: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_preface_that_drips_is_cut_off_by_one_deadline() {
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let mut wire = Wire::new(Box::new(server), SECONDS);
    let dripping = tokio::spawn(async move {
        for byte in PREFACE {
            tokio::time::sleep(Duration::from_secs(1)).await;
            client.write_all(&[*byte]).await?;
        }
        Ok::<_, io::Error>(())
    });
    let started = tokio::time::Instant::now();
    let mut read = Vec::new();
    let error = wire.read_to_end(&mut read).await.unwrap_err();
    assert_eq!((error.kind(), started.elapsed()), (io::ErrorKind::TimedOut, SECONDS));
    drop(wire);
    assert!(dripping.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_connection_between_two_frames_may_be_silent() {
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let mut wire = Wire::new(Box::new(server), SECONDS);
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    client.write_all(&[PREFACE, &settings].concat()).await.unwrap();
    let mut read = vec![0; PREFACE.len() + settings.len()];
    wire.read_exact(&mut read).await.unwrap();
    tokio::spawn(async move {
        tokio::time::sleep(SECONDS * 10).await;
        client.write_all(&settings).await
    });
    wire.read_exact(&mut read[..settings.len()]).await.unwrap();
}

#[tokio::test]
async fn a_flood_ends_the_connection() {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let mut wire = Wire::new(Box::new(server), SECONDS);
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    client
        .write_all(&[PREFACE, &ping.repeat(5_000)].concat())
        .await
        .unwrap();
    let error = wire.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_given_up() {
    let (client, server) = tokio::io::duplex(1_024);
    let mut wire = Wire::new(Box::new(server), SECONDS);
    let error = wire.write_all(&[b'x'; 4_096]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    drop(client);
}
