//! The demo model, part of every binary that links the engine (`models/demo`).

use crate::package::{Package, PackageError};

/// Opens the embedded package. Nothing is copied: weights are used where the binary has them.
pub fn package() -> Result<Package, PackageError> {
    Package::embedded(crate::embed_archive!("../../../models/demo/demo.assaypk"))
}
