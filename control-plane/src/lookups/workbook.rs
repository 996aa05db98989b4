//! XLSX: a ZIP of XML documents, of which few are read.
//!
//! It is read and written here, as what libraries for it unpack has no bound: a workbook of a few kilobytes may name a
//! billion cells. Formulas are read as the results that are stored with them; dates as the numbers that they are.

mod reading;
mod writing;

pub(super) use reading::read;
pub(crate) use writing::write;

/// The most bytes of the parts that are read, unpacked.
pub(super) const MOST_UNPACKED: u64 = 96 << 20;
