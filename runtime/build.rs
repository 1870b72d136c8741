//! Builds the runtime for Wasm and leaves its path in `OUT_DIR/wasm_binary.rs`.

#[cfg(feature = "std")]
fn main() {
    // Part of the genesis presets; the builder watches only the sources of crates.
    println!("cargo:rerun-if-changed=../models/demo/header.bin");
    println!("cargo:rerun-if-changed=../models/demo/manifest.json");
    let builder = substrate_wasm_builder::WasmBuilder::init_with_defaults();
    // The token as in `constants::currency`: it is part of what the hash commits to.
    #[cfg(feature = "metadata-hash")]
    let builder = builder.enable_metadata_hash("ASY", 12);
    builder.build();
}

#[cfg(not(feature = "std"))]
fn main() {}
