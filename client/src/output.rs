//! What people and programs see.

use crate::error::Error;
use std::io::Write;

/// Where output goes: text for people, or one JSON object a line.
#[derive(Clone, Copy)]
pub struct Out {
    /// For programs.
    pub json: bool,
}

impl Out {
    /// One JSON object, for programs only.
    pub fn event(&self, value: serde_json::Value) {
        if self.json {
            line(&value.to_string());
        }
    }

    /// A line for people only.
    pub fn say(&self, text: impl AsRef<str>) {
        if !self.json {
            line(text.as_ref());
        }
    }

    /// A piece of streamed text, for people only.
    pub fn piece(&self, text: &str) {
        if !self.json {
            let mut out = std::io::stdout().lock();
            // A closed pipe (`| head`) is not an error of ours.
            let _ = out.write_all(text.as_bytes()).and_then(|_| out.flush());
        }
    }

    /// Progress on standard error, for people at a terminal or in a log.
    pub fn progress(&self, text: impl AsRef<str>) {
        if !self.json {
            eprintln!("  · {}", text.as_ref());
        }
    }
}

fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
}

/// An error, on standard error; also as JSON on standard output for programs.
pub fn error(error: &Error, json: bool) {
    if json {
        line(
            &serde_json::json!({ "event": "error", "message": error.to_string(), "code": error.exit_code() })
                .to_string(),
        );
    }
    eprintln!("error: {error}");
}

/// `0x` and hex.
pub fn hex(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}
