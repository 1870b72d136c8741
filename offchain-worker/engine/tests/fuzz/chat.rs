//! Chat templates: parsing in this process, rendering in another.

use crate::{
    harness::{fuzz, Target},
    mutate::{self, once_in, pick},
    support::Random,
};
use assay_engine::chat::{ChatTemplate, Message};
use std::path::Path;

/// In the manner of published ones.
const SEEDS: [&str; 5] = [
    "{%- set bos_token = \"<s>\" -%}{{ bos_token }}{% for message in messages %}{% if loop.first and message['role'] != \
     'system' %}<|im_start|>system\nBe brief.<|im_end|>{% endif %}<|im_start|>{{ message.role }}\n{{ \
     message['content'].strip() }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "{% set loop_messages = messages[1:] %}{% if messages[0]['role'] == 'system' %}{% set system = messages[0].content | trim \
     %}{% else %}{% set system = '' %}{% endif %}{% for m in loop_messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 \
     == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}{{ '[INST] ' ~ m.content ~ ' [/INST]' }}{% endfor %}",
    "{% set ns = namespace(n=0, list=[], text='') %}{% for m in messages * 3 %}{% set ns.n = ns.n + 1 %}{% set ns.list = \
     ns.list + [m] %}{% set ns.text = ns.text ~ m.content %}{% endfor %}{{ ns.list | tojson(indent=2) }}{{ ns.text }}",
    "{% macro turn(m, depth=0) %}{% if depth < 3 %}{{ turn(m, depth + 1) }}{% endif %}{{ m.role | upper }}: {{ \
     m.content.split('\\n')[-1] }}{% endmacro %}{% for m in messages %}{{ turn(m) }}{% if m.role == 'user' %}{% continue %}{% \
     endif %}{% endfor %}",
    "{% for k, v in {'a': [1, 2], 'b': messages}.items() %}{{ k }}{{ v | length }}{% endfor %}{{ messages | map(attribute='role') \
     | join(', ') }}{{ '%s-%05d' | format('x', 7) }}{{ ['b', 'a'] | sort | first }}{{ 'a b'.title().replace('A', 'x' * 5) }}",
];

/// What is put into templates.
const PIECES: [&str; 30] = [
    "{% for i in range(9999) %}",
    "{% for i in messages %}",
    "{% endfor %}",
    "{% set ns.list = [ns.list, ns.list] %}",
    "{% set ns.list = ns %}",
    "{% set ns.text = ns.text ~ ns.text %}",
    "{% set x = messages %}",
    "{{ ns }}",
    "{{ ns.list | tojson | length }}",
    "{{ x == messages }}",
    "{{ 'x' * 1000000 }}",
    "{{ ('x' * 99999).replace('x', 'y' * 99999) | length }}",
    "{{ '{:>99999999999}'.format(1) }}",
    "{{ '%999999999d' | format(1) }}",
    "{{ [1] * 99999999 }}",
    "{{ messages | batch(2) | list }}",
    "{{ x | sort | unique | list | reverse }}",
    "{{ turn(turn(1)) }}",
    "{{ 9999999999 ** 999 }}",
    "{{ -(2 ** 63) // -1 }}{{ 1 % 0 }}",
    "{{ messages[99999999999999999999] }}{{ 'abc'[::-1] }}{{ 'abc'[::0] }}",
    "{% if x is defined and x is not none %}",
    "{% else %}",
    "{% endif %}",
    "{% raw %}",
    "{%- ",
    " -%}",
    "{{ ",
    " }}",
    "((((((((((((((((((((((((((((((",
];

struct Parsing {
    template: Vec<u8>,
}

struct Rendering {
    template: Vec<u8>,
}

fn template(random: &mut Random) -> Vec<u8> {
    let mut text = pick(&SEEDS, random).to_string();
    for _ in 0..random.below(4) {
        let places: Vec<usize> = text.match_indices(['{', '}', ' ', '(']).map(|(at, _)| at).collect();
        let at = places.get(random.below(places.len() as u64 + 1) as usize).copied().unwrap_or(text.len());
        match random.below(3) {
            0 => text.insert_str(at, &pick(&SEEDS, random).repeat(1 + random.below(4) as usize)),
            _ => text.insert_str(at, &pick(&PIECES, random).repeat(1 << random.below(9))),
        }
    }
    let mut bytes = text.into_bytes();
    if once_in(3, random) {
        mutate::bytes(&mut bytes, random);
    }
    bytes
}

impl Target for Parsing {
    const NAME: &'static str = "chat template, parsed";
    const SHARE: u64 = 150;
    // Tests that are being set up have a part in it.
    const BASE: usize = 64 << 20;
    const PER_BYTE: usize = 512;
    const THREADS: bool = true;

    fn prepare(&mut self, random: &mut Random) -> usize {
        self.template = template(random);
        self.template.len()
    }

    fn run(&mut self) -> Result<(), String> {
        ChatTemplate::parse(&self.template).map(drop).map_err(|error| error.to_string())
    }
}

impl Target for Rendering {
    const NAME: &'static str = "chat template, rendered";
    const SHARE: u64 = 1;
    // The output's limit, twice while it grows; what the renderer needs lies in its own process.
    const BASE: usize = 40 << 20;
    const PER_BYTE: usize = 512;

    fn prepare(&mut self, random: &mut Random) -> usize {
        self.template = template(random);
        self.template.len()
    }

    fn run(&mut self) -> Result<(), String> {
        let messages = [Message::new("system", "Be\nbrief"), Message::new("user", "a <b> \"c\"")];
        ChatTemplate::parse(&self.template)
            .and_then(|template| template.render_apart(Path::new(env!("CARGO_BIN_EXE_assay-engine")), &messages))
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

#[test]
fn fuzz_chat_template_parsed_any_input_is_a_result_within_its_memory() {
    fuzz(Parsing { template: Vec::new() }, 10);
}

#[test]
fn fuzz_chat_template_rendered_any_input_is_a_result_within_its_memory() {
    fuzz(Rendering { template: Vec::new() }, 5);
}
