//! Handing over what was open when the queue was opened, a piece at a time between the commits.

use super::row::{Names, decode_open};
use super::stats::Depths;
use super::{Handed, QueueError, Seq};
use rusqlite::Connection;

/// How far the table of open deliveries was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recovery {
    /// Events up to here were handed over. Later ones are, when it is their turn, also those that came meanwhile: so
    /// events are handed over in the order of their places.
    pub(super) read_to: Seq,
}

/// A piece of what is open.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) handed: Vec<Handed>,
    /// Rows that cannot be read.
    pub(super) damaged: Vec<QueueError>,
    pub(super) is_last: bool,
}

impl Recovery {
    /// Reads the next piece, and counts it in `depths`.
    pub(super) fn next(
        &mut self,
        store: &Connection,
        names: &mut Names,
        depths: &mut Depths,
    ) -> rusqlite::Result<Piece> {
        let mut piece = Piece::default();
        let mut select = store
            .prepare_cached("SELECT seq, accepted_ms, org, state FROM open WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
        let mut rows = select.query([self.read_to, PIECE])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            let seq = row.get(0)?;
            let (accepted_ms, org) = (row.get(1)?, row.get::<_, i64>(2)?.cast_unsigned());
            match decode_open(row.get_ref(3)?.as_blob()?, names) {
                Ok((deliveries, _)) => {
                    for delivery in &deliveries {
                        depths.open(&delivery.subscription, org, accepted_ms);
                    }
                    piece.handed.push(Handed {
                        seq,
                        accepted_ms,
                        event: None,
                        deliveries,
                    });
                }
                Err(error) => piece.damaged.push(QueueError::damaged("open", seq, &error)),
            }
            self.read_to = seq;
        }
        piece.is_last = count < PIECE;
        Ok(piece)
    }
}

/// Events of a piece: well under a millisecond's work, so that commits in between hardly wait.
const PIECE: i64 = 1024;
