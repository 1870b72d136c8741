//! Builds the runtime for Wasm and leaves its path in `OUT_DIR/wasm_binary.rs`.

#[cfg(all(feature = "std", feature = "metadata-hash"))]
fn main() {
    // The token as in `constants::currency`: it is part of what the hash commits to.
    substrate_wasm_builder::WasmBuilder::init_with_defaults()
        .enable_metadata_hash("ASY", 12)
        .build();
}

#[cfg(all(feature = "std", not(feature = "metadata-hash")))]
fn main() {
    substrate_wasm_builder::WasmBuilder::build_using_defaults();
}

#[cfg(not(feature = "std"))]
fn main() {}
