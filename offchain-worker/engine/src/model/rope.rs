//! Rope tables of a package (sections 6 and 11).

use assay_exact::layout::{Entry, PartName};

use super::{fit, Lane};
use crate::package::{read_i32, Bytes, Package, PackageError};

/// The tables, `[table, position, rot]`: pairs (c, s) in Q30.
#[derive(Debug)]
pub(crate) struct RopeTables {
    bytes: Bytes,
    tables: usize,
    context: usize,
    rot: usize,
}

impl RopeTables {
    pub fn load(package: &Package) -> Result<Self, PackageError> {
        let (_, bytes) = package.part(Entry::Tables, PartName::Whole)?;
        let header = package.header();
        Ok(Self {
            bytes,
            tables: header.rope_tables as usize,
            context: header.context as usize,
            rot: header.rot as usize,
        })
    }

    /// Reads the rows of the lanes' positions of every table: `rows[table]` is `[n, rot]`.
    pub fn rows(&self, lanes: &[Lane<'_>], rows: &mut Vec<Vec<i32>>) {
        rows.resize_with(self.tables, Vec::new);
        let n: usize = lanes.iter().map(|lane| lane.n).sum();
        for (table, rows) in rows.iter_mut().enumerate() {
            let mut rest = fit(rows, self.rot * n);
            for Lane { start, n, .. } in lanes {
                let first = 4 * self.rot * (table * self.context + start);
                let (own, others) = rest.split_at_mut(self.rot * n);
                read_i32(&self.bytes[first..first + 4 * self.rot * n], own);
                rest = others;
            }
        }
    }
}
