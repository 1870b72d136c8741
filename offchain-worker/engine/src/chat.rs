//! A model's chat template: messages to the text that the model was trained to answer.
//!
//! Templates are [Jinja](https://jinja.palletsprojects.com) as the Hugging Face libraries render it. The package commits to
//! the template's bytes, but not to how they are rendered: consensus begins with token ids. A template comes with a package
//! from anyone: [`ChatTemplate::render_apart`] bounds its steps, its output and its memory ([`apart`]).

pub mod apart;

use assay_exact::hash::{Blake2b, Digest, Hasher};
use minijinja::{context, syntax::SyntaxConfig, value::Kwargs, Environment, Error, ErrorKind, Value};
use std::{io, path::PathBuf, process::ExitStatus};

use crate::{
    hex::Hex,
    package::{Package, CHAT_TEMPLATE_FILE},
};

/// The template's name in errors.
const NAME: &str = CHAT_TEMPLATE_FILE;
/// Instructions of a rendering: published templates take some hundred per message.
const FUEL: u64 = 1 << 20;
/// Bytes of a template; published ones have up to 20,000.
const MAX_TEMPLATE_BYTES: usize = 1 << 15;
/// Signs one after another, which the parser folds in cubic time; other chains are quadratic, and so take a second at most.
const MAX_SIGNS: usize = 256;
/// Stack for the parser, in bytes: it recurses into blocks and chains of operators, whose depth only the template's length
/// bounds. What is not used of it costs no memory.
const STACK_BYTES: usize = 1 << 20;
const STACK_BYTES_PER_BYTE: usize = 8 << 10;
/// Bytes of a rendered chat: more than any context holds.
const MAX_TEXT_BYTES: usize = 16 << 20;

/// One turn of a chat.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`; what else a template knows.
    pub role: String,
    /// What was said.
    pub content: String,
}

impl Message {
    /// A turn.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

/// Why messages cannot be rendered.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The model has none.
    #[error("the package has no {CHAT_TEMPLATE_FILE}; give the model plain text")]
    Missing,
    /// Not the template of this model.
    #[error("{CHAT_TEMPLATE_FILE}: its bytes hash to {}, the header says {}", Hex(found), Hex(expected))]
    Digest {
        /// The header's digest.
        expected: Digest,
        /// That of the bytes.
        found: Digest,
    },
    /// Longer than any template.
    #[error("{CHAT_TEMPLATE_FILE}: {found} bytes; at most {MAX_TEMPLATE_BYTES} are read")]
    TooLong {
        /// Its bytes.
        found: usize,
    },
    /// Not text.
    #[error("{CHAT_TEMPLATE_FILE}: not UTF-8: {0}")]
    Utf8(#[from] std::str::Utf8Error),
    /// Not a template.
    #[error("{CHAT_TEMPLATE_FILE}: {0}")]
    Syntax(String),
    /// No thread for the parser.
    #[error("cannot start a thread to parse {CHAT_TEMPLATE_FILE}: {0}")]
    Thread(io::Error),
    /// The template refuses the messages, or asks for what it is not given.
    #[error("{CHAT_TEMPLATE_FILE} does not take these messages: {0}")]
    Render(String),
    /// The template makes too much of the messages.
    #[error("{CHAT_TEMPLATE_FILE} makes more than {MAX_TEXT_BYTES} bytes of text of these messages")]
    Output,
    /// The template asks for more than any rendering needs.
    #[error(
        "{CHAT_TEMPLATE_FILE} was stopped over these messages ({status}): it needs more than {} MiB of memory, {} s of \
         processor time, or nests too deep",
        apart::MEMORY_BYTES >> 20,
        apart::CPU_SECONDS
    )]
    Limits {
        /// How its process ended.
        status: ExitStatus,
    },
    /// The process that renders cannot be used.
    #[error("cannot render {CHAT_TEMPLATE_FILE} with {}: {source}", program.display())]
    Process {
        /// What was started.
        program: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// A parsed template.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
}

impl ChatTemplate {
    /// The template of a package, checked against its header.
    pub fn load(package: &Package) -> Result<Self, ChatError> {
        let bytes = package.chat_template().ok_or(ChatError::Missing)?;
        let (expected, found) = (package.header().chat_template, Blake2b::digest(&[bytes]));
        if expected != found {
            return Err(ChatError::Digest { expected, found });
        }
        Self::parse(bytes)
    }

    /// Parses a template, on a thread with as much stack as its length may need.
    pub fn parse(bytes: &[u8]) -> Result<Self, ChatError> {
        let source = checked(bytes)?;
        let stack = STACK_BYTES + STACK_BYTES_PER_BYTE * source.len();
        let parse = || Self::parse_here(source.to_owned());
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(stack).spawn_scoped(scope, parse);
            let parsed = thread.map_err(ChatError::Thread)?.join();
            parsed.unwrap_or_else(|_| Err(ChatError::Syntax("the parser fails on it".into())))
        })
    }

    /// [`Self::parse`] on the caller's stack.
    fn parse_here(source: String) -> Result<Self, ChatError> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|e| ChatError::Syntax(e.to_string()))?);
        environment.set_fuel(Some(FUEL));
        // Text for a model, not for a browser.
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        // Templates call methods of Python's strings and dictionaries.
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_filter("tojson", to_json);
        environment.add_template_owned(NAME, source).map_err(|e| ChatError::Syntax(describe(&e)))?;
        Ok(Self { environment })
    }

    /// The text of `messages`, with what begins an answer at its end. Special tokens are written out in it: encode it
    /// with [`Tokenizer::encode_rendered`](crate::tokenizer::Tokenizer::encode_rendered).
    ///
    /// There is no clock in a template's reach (`strftime_now` is not defined): the same messages give the same text.
    ///
    /// Steps and output are bounded, but memory and stack are not: a template from elsewhere is for [`Self::render_apart`].
    pub fn render(&self, messages: &[Message]) -> Result<String, ChatError> {
        let turn = |message: &Message| context! { role => message.role.as_str(), content => message.content.as_str() };
        let messages: Vec<Value> = messages.iter().map(turn).collect();
        let context = context! { messages => messages, add_generation_prompt => true };
        let mut text = Bounded::default();
        let rendered = self.environment.get_template(NAME).and_then(|template| {
            template.render_captured_to(context, &mut text)?;
            Ok(())
        });
        if text.full {
            return Err(ChatError::Output);
        }
        rendered.map_err(|e| ChatError::Render(describe(&e)))?;
        // Templates are UTF-8, and so is all that they are given.
        Ok(String::from_utf8_lossy(&text.bytes).into_owned())
    }
}

/// The text of a template that is parsed in little time.
fn checked(bytes: &[u8]) -> Result<&str, ChatError> {
    if bytes.len() > MAX_TEMPLATE_BYTES {
        return Err(ChatError::TooLong { found: bytes.len() });
    }
    let mut signs = 0;
    for byte in bytes {
        match byte {
            b'-' | b'+' => signs += 1,
            byte if byte.is_ascii_whitespace() => {}
            _ => signs = 0,
        }
        if signs > MAX_SIGNS {
            return Err(ChatError::Syntax(format!("more than {MAX_SIGNS} signs in a row")));
        }
    }
    Ok(std::str::from_utf8(bytes)?)
}

/// A buffer that refuses what is beyond [`MAX_TEXT_BYTES`].
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_TEXT_BYTES {
            self.full = true;
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What templates call on roles that they do not know.
fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// JSON as the Hugging Face libraries write it: nothing escaped for HTML.
fn to_json(value: Value, arguments: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = arguments.get("indent")?;
    // `ensure_ascii` and the like do not change what a model was trained on.
    let failed = |e: serde_json::Error| Error::new(ErrorKind::BadSerialization, e.to_string());
    match indent {
        None => serde_json::to_string(&value).map_err(failed),
        Some(indent) => {
            let spaces = " ".repeat(indent.min(16));
            let formatter = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
            let mut json = Vec::new();
            let mut serializer = serde_json::Serializer::with_formatter(&mut json, formatter);
            serde::Serialize::serialize(&value, &mut serializer).map_err(failed)?;
            Ok(String::from_utf8_lossy(&json).into_owned())
        }
    }
}

/// The reason and the line.
fn describe(error: &Error) -> String {
    let reason = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) => format!("line {line}: {reason}"),
        None => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the manner of ChatML.
    const CHATML: &str =
        "{%- set bos_token = \"<s>\" -%}{{ bos_token }}\n{% for message in messages %}\n  {% if loop.first \
        and message['role'] != 'system' %}\n<|im_start|>system\nBe brief.<|im_end|>\n  {% endif %}\n\
        <|im_start|>{{ message.role }}\n{{ message['content'].strip() }}<|im_end|>\n{% endfor %}\n\
        {% if add_generation_prompt %}\n<|im_start|>assistant\n{% endif %}\n";

    fn render(template: &str, messages: &[Message]) -> Result<String, ChatError> {
        ChatTemplate::parse(template.as_bytes())?.render(messages)
    }

    #[test]
    fn render_trims_blocks_as_the_reference_does() {
        let text = render(CHATML, &[Message::new("user", " <hello> & \"you\" ")]).unwrap();
        assert_eq!(
            text,
            "<s>\n<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n<hello> & \"you\"<|im_end|>\n<|im_start|>assistant\n"
        );
        let chat = [Message::new("system", "S"), Message::new("user", "U"), Message::new("assistant", "A")];
        let text = render(CHATML, &chat).unwrap();
        assert_eq!(text.matches("<|im_start|>").count(), 4);
        assert!(!text.contains("Be brief"));
    }

    #[test]
    fn render_knows_the_functions_and_filters_of_published_templates() {
        let user = [Message::new("user", "a<b\nä")];
        assert_eq!(render("{{ messages[0].content | tojson }}", &user).unwrap(), "\"a<b\\nä\"");
        assert_eq!(render("{{ {'a': [1]} | tojson(indent=2) }}", &user).unwrap(), "{\n  \"a\": [\n    1\n  ]\n}");
        let date = "{% if strftime_now is defined %}{{ strftime_now('%Y') }}{% else %}2024{% endif %}";
        assert_eq!(render(date, &user).unwrap(), "2024");
        let loops =
            "{% for m in messages %}{% if m.role == 'user' %}{% continue %}{% endif %}{{ m.role }}{% endfor %}.";
        assert_eq!(render(loops, &user).unwrap(), ".");
        let namespaces =
            "{% set ns = namespace(n=0) %}{% for m in messages * 3 %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}";
        assert_eq!(render(namespaces, &user).unwrap(), "3");
        assert_eq!(render("{{ messages[0]['content'].split('<')[-1].startswith('b') }}", &user).unwrap(), "True");
        assert_eq!(render("{{ tools }}{% if tools is not none and tools %}x{% endif %}", &user).unwrap(), "");
    }

    #[test]
    fn render_of_messages_that_the_template_refuses_is_an_error_with_its_words() {
        let template = "{% if messages[0].role != 'user' %}\n{{ raise_exception('Begin with user') }}{% endif %}ok";
        assert_eq!(render(template, &[Message::new("user", "")]).unwrap(), "ok");
        let error = render(template, &[Message::new("tool", "")]).unwrap_err();
        assert!(matches!(&error, ChatError::Render(why) if why.contains("line 2: Begin with user")), "{error}");
    }

    #[test]
    fn parse_of_what_is_not_a_template_is_an_error_with_its_line() {
        let error = ChatTemplate::parse(b"{{ messages }}\n{% for %}").unwrap_err();
        assert!(matches!(&error, ChatError::Syntax(why) if why.starts_with("line 2")), "{error}");
        assert!(matches!(ChatTemplate::parse(b"\xff"), Err(ChatError::Utf8(_))));
        let long = vec![b'x'; MAX_TEMPLATE_BYTES + 1];
        assert!(matches!(ChatTemplate::parse(&long), Err(ChatError::TooLong { .. })));
    }

    #[test]
    fn parse_of_nesting_of_any_depth_is_a_template_or_an_error() {
        for (first, again) in [
            ("", "{%if a%}"),
            ("{%if a%}", "{%elif a%}"),
            ("", "{%for a in a%}"),
            ("", "{%macro a()%}"),
            ("", "{%set a%}"),
            ("", "{%filter a%}"),
            ("", "{%call a()%}"),
            ("{{a", "|a"),
            ("{{a", " is a"),
            ("{{a", ".a"),
            ("{{a", "[a]"),
            ("{{a", "()"),
            ("{{a", "~a"),
            ("{{a", "<a"),
            ("{{a", "**a"),
            ("{{a", " or a"),
            ("{{a", " if a"),
            ("{{a", " if a else a"),
            ("{{", "-"),
            ("{{", "not "),
            ("{{", "("),
            ("{{", "["),
            ("{{", "{a:"),
            ("{{", "a("),
            ("{{", "{{"),
            ("{%set a=", "a,"),
        ] {
            for last in ["", "a}}", "a%}"] {
                let times = (MAX_TEMPLATE_BYTES - first.len() - last.len()) / again.len();
                drop(ChatTemplate::parse(format!("{first}{}{last}", again.repeat(times)).as_bytes()));
            }
        }
        let closed = |depth: usize| format!("{}x{}", "{%if 1%}".repeat(depth), "{%endif%}".repeat(depth));
        assert_eq!(render(&closed(30), &[]).unwrap(), "x");
        assert!(matches!(ChatTemplate::parse(closed(1500).as_bytes()), Err(ChatError::Syntax(_))));
        let signs = format!("{{{{ {}1 }}}}", "- ".repeat(1000));
        let error = ChatTemplate::parse(signs.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("more than 256 signs in a row"), "{error}");
    }

    #[test]
    fn render_without_end_or_measure_is_stopped() {
        let user = [Message::new("user", "x")];
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{{ a * b }}{% endfor %}{% endfor %}";
        assert!(matches!(render(endless, &user), Err(ChatError::Render(why)) if why.contains("fuel")));
        let huge = "{% set big = 'x' * 1000000 %}{% for a in range(100) %}{{ big }}{% endfor %}";
        assert!(matches!(render(huge, &user), Err(ChatError::Output)));
        let nested = "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}";
        assert!(matches!(render(nested, &user), Err(ChatError::Render(_))));
    }

    #[test]
    fn load_without_a_template_says_so() {
        let package = crate::demo::package().unwrap();
        match ChatTemplate::load(&package) {
            Err(ChatError::Missing) => assert!(package.chat_template().is_none()),
            other => panic!("the demo model continues text: {other:?}"),
        }
    }
}
