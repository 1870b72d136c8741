//! Gives the binary the version that `--version` and telemetry show.

fn main() {
    polkadot_sdk::substrate_build_script_utils::generate_cargo_keys();
}
