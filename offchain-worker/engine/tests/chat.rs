//! Chat templates from elsewhere: what they ask for ends at the renderer's limits, not at the machine's.

use std::path::Path;

use assay_engine::chat::{ChatError, ChatTemplate, Message};

/// The engine's program, which is its own renderer.
const PROGRAM: &str = env!("CARGO_BIN_EXE_assay-engine");

fn render(template: &str) -> Result<String, ChatError> {
    let messages = [Message::new("user", "a<b\n\u{e4}")];
    ChatTemplate::parse(template.as_bytes())?.render_apart(Path::new(PROGRAM), &messages)
}

/// `body` after a list that holds a list twice that holds a list twice, and so on: 2^60 entries in 60 steps.
fn nested(body: &str) -> String {
    format!(
        "{{% set ns = namespace(a=[1], b=[1]) %}}{{% for i in range(60) %}}{{% set ns.a = [ns.a, ns.a] %}}\
         {{% set ns.b = [ns.b, ns.b] %}}{{% endfor %}}{body}"
    )
}

#[test]
fn render_apart_gives_what_render_gives() {
    for template in [
        "{{ messages[0].content }}",
        "{% for m in messages %}<{{ m.role }}>\n{{ m['content'] | tojson }}{% endfor %}{{ add_generation_prompt }}",
        "",
    ] {
        let here = ChatTemplate::parse(template.as_bytes()).unwrap().render(&[Message::new("user", "a<b\n\u{e4}")]);
        assert_eq!(render(template).unwrap(), here.unwrap());
    }
    let error = render("{{ raise_exception('Begin with user') }}").unwrap_err();
    assert!(matches!(&error, ChatError::Render(why) if why.contains("line 1: Begin with user")), "{error}");
    let error = render("{% for a in range(9999) %}{% for b in range(9999) %}{{ a * b }}{% endfor %}{% endfor %}");
    assert!(matches!(&error, Err(ChatError::Render(why)) if why.contains("fuel")));
    let error = render("{% set big = 'x' * 1000000 %}{% for a in range(100) %}{{ big }}{% endfor %}");
    assert!(matches!(error, Err(ChatError::Output)));
}

#[test]
fn render_apart_of_a_list_that_doubles_is_stopped() {
    for body in ["{{ ns.a ~ '' }}", "{{ ns.a | tojson | length }}", "{{ ns.a == ns.b }}"] {
        let error = render(&nested(body)).unwrap_err();
        assert!(matches!(error, ChatError::Limits { .. }), "{body}: {error}");
        assert!(error.to_string().starts_with("chat_template.jinja was stopped over these messages"), "{error}");
    }
}

#[test]
fn render_apart_of_a_namespace_in_itself_is_stopped() {
    for body in ["{{ ns }}", "{{ ns | tojson }}", "{{ ns == ns.a }}"] {
        match render(&format!("{{% set ns = namespace() %}}{{% set ns.a = ns %}}{body}")) {
            Err(ChatError::Limits { .. } | ChatError::Render(_)) | Ok(_) => {}
            Err(error) => panic!("{body}: {error}"),
        }
    }
    let deep =
        "{% set ns = namespace(a=[1]) %}{% for i in range(99999) %}{% set ns.a = [ns.a] %}{% endfor %}{{ ns.a }}";
    assert!(matches!(render(deep), Err(ChatError::Limits { .. })));
}

#[test]
fn render_apart_of_a_string_beyond_memory_is_stopped() {
    for template in [
        "{% set x = 'x' * 1000000 %}{{ x.replace('x', x) | length }}",
        "{% set x = 'x' * 1000000 %}{{ x.join(range(9999)) | length }}",
        "{{ '{:>100000000000}'.format(1) | length }}",
    ] {
        let error = render(template).unwrap_err();
        assert!(matches!(error, ChatError::Limits { .. } | ChatError::Render(_)), "{template}: {error}");
    }
}

#[test]
fn render_apart_by_a_program_that_is_not_there_names_it() {
    let template = ChatTemplate::parse(b"x").unwrap();
    let error = template.render_apart(Path::new("/no/such/program"), &[]).unwrap_err();
    assert!(matches!(error, ChatError::Process { .. }) && error.to_string().contains("/no/such/program"), "{error}");
}
