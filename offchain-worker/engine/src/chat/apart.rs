//! Rendering in a process of its own.
//!
//! Fuel bounds the steps of a rendering and the strings that it builds, but not what becomes of a list that holds another
//! twice, or of a namespace that holds itself, when it is written out or compared: a template of a hundred bytes can ask for
//! any amount of memory, time or stack, and the last ends a process. So the template of a package from elsewhere is rendered
//! by a child, whose memory and processor time the system bounds.
//!
//! The child is the caller's own program, started with [`ARGUMENT`], upon which it calls [`serve`]. The request goes to its
//! standard input as JSON; the reply is one byte that says what follows, then text.

use serde::{Deserialize, Serialize};
use std::{
    io::{self, Read, Write},
    path::Path,
    process::{Command, Stdio},
};

use super::{ChatError, ChatTemplate, Message, MAX_TEXT_BYTES, NAME};

/// The argument that makes a program call [`serve`].
pub const ARGUMENT: &str = "render-chat";
/// Address space of the child, in bytes. A rendering's fuel pays for 64 MiB of strings, and its output has 16.
pub const MEMORY_BYTES: u64 = 512 << 20;
/// Processor time of the child. Published templates take milliseconds.
pub const CPU_SECONDS: u64 = 2;

/// What follows in a reply.
const TEXT: u8 = b'T';
const TOO_LONG: u8 = b'L';
const REASON: u8 = b'R';

#[derive(Serialize, Deserialize)]
struct Request {
    template: String,
    messages: Vec<Message>,
}

impl ChatTemplate {
    /// [`Self::render`] by a child process: `program` started with [`ARGUMENT`].
    ///
    /// # Errors
    /// As [`Self::render`]; a rendering beyond [`MEMORY_BYTES`], [`CPU_SECONDS`] or the child's stack.
    pub fn render_apart(&self, program: &Path, messages: &[Message]) -> Result<String, ChatError> {
        let process = |source: io::Error| ChatError::Process { program: program.into(), source };
        let request = Request { template: self.source()?, messages: messages.into() };
        let request = serde_json::to_vec(&request).map_err(|error| process(error.into()))?;
        let mut child = Command::new(program)
            .arg(ARGUMENT)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // What a program says that runs out of memory or stack is in the error.
            .stderr(Stdio::null())
            .spawn()
            .map_err(process)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A child that has ended says why below.
            let _ = stdin.write_all(&request);
        }
        let mut reply = Vec::new();
        let read = match child.stdout.take() {
            Some(stdout) => stdout.take(MAX_TEXT_BYTES as u64 + 2).read_to_end(&mut reply),
            None => Ok(0),
        };
        let status = child.wait().map_err(process)?;
        read.map_err(process)?;
        if !status.success() {
            return Err(ChatError::Limits { status });
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match reply.split_first() {
            Some((&TEXT, bytes)) => Ok(text(bytes)),
            Some((&TOO_LONG, _)) => Err(ChatError::Output),
            Some((&REASON, bytes)) => Err(ChatError::Render(text(bytes))),
            _ => Err(process(io::Error::other("it does not answer as a renderer of chats"))),
        }
    }
}

/// What the child does: limits itself, renders the request on `input` and writes the reply to `output`. Nothing else may run
/// in this process, whose limits are lowered for good.
pub fn serve(mut input: impl Read, mut output: impl Write) -> io::Result<()> {
    limit()?;
    let mut request = Vec::new();
    input.read_to_end(&mut request)?;
    let Request { template, messages } = serde_json::from_slice(&request)?;
    drop(request);
    // On this stack: that of a thread counts in the process's memory.
    match ChatTemplate::parse_here(template).and_then(|template| template.render(&messages)) {
        Ok(text) => {
            output.write_all(&[TEXT])?;
            output.write_all(text.as_bytes())?;
        }
        Err(ChatError::Output) => output.write_all(&[TOO_LONG])?,
        Err(error) => {
            let reason = match error {
                ChatError::Render(reason) => reason,
                other => other.to_string(),
            };
            output.write_all(&[REASON])?;
            // A reason may quote a message.
            output.write_all(reason.as_bytes().get(..MAX_TEXT_BYTES).unwrap_or(reason.as_bytes()))?;
        }
    }
    output.flush()
}

#[cfg(unix)]
fn limit() -> io::Result<()> {
    for (resource, most) in [
        (libc::RLIMIT_AS, MEMORY_BYTES),
        (libc::RLIMIT_CPU, CPU_SECONDS),
        // An end that is expected leaves no image of the process behind.
        (libc::RLIMIT_CORE, 0),
    ] {
        let most = most as libc::rlim_t;
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: the call reads the structure, which lives until it returns.
        if unsafe { libc::setrlimit(resource, &limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn limit() -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system cannot bound a process; render the chat elsewhere"))
}

impl ChatTemplate {
    fn source(&self) -> Result<String, ChatError> {
        match self.environment.get_template(NAME) {
            Ok(template) => Ok(template.source().into()),
            Err(error) => Err(ChatError::Syntax(super::describe(&error))),
        }
    }
}
