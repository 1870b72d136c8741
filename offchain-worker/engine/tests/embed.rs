//! `assay-engine embed`, as a program.

mod support;

use std::{path::Path, process::Command, sync::Arc};

use assay_engine::{
    embed::Embedder,
    hex::Hex,
    package::Package,
    stage::{even_spans, Control, Setup},
};
use serde_json::{json, Value};
use support::{bert, llama, package};

/// What the program prints, and whether it succeeded.
fn embed(package: &Path, arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_assay-engine"))
        .arg("embed")
        .arg("--model")
        .arg(package)
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

fn expected(package: &Arc<Package>, ids: &[u32], stages: u32) -> Value {
    let found =
        Embedder::open(package, stages, &Setup::default()).unwrap().embed(ids, &mut Control::default()).unwrap();
    let spans = even_spans(package.header().layers, stages).unwrap();
    let stages: Vec<Value> = spans
        .iter()
        .zip(&found.commits)
        .map(|(span, commit)| {
            json!({
                "first": span.start,
                "end": span.end,
                "positions": ids.len(),
                "in_root": Hex(&commit.in_root).to_string(),
                "out_root": Hex(&commit.out_root).to_string(),
                "kv_root": Hex(&commit.kv_root).to_string(),
                "tail_root": Hex(&commit.tail_root).to_string(),
                "stage_root": Hex(&commit.stage_root).to_string(),
            })
        })
        .collect();
    json!({
        "model_root": Hex(&package.model_root()).to_string(),
        "text": 1,
        "tokens": ids.len(),
        "embedding": found.v,
        "stages": stages,
    })
}

#[test]
fn embed_of_ids_prints_the_integers_and_every_stage() {
    let (directory, package) = package(bert(), 21);
    for stages in 1..=3 {
        let (ok, out, error) =
            embed(&directory.path().join("model"), &["--ids", "3,1,66,0,3", "--stages", &stages.to_string(), "--json"]);
        assert!(ok, "{error}");
        assert_eq!(out.lines().count(), 1);
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), expected(&package, &[3, 1, 66, 0, 3], stages));
    }
}

#[test]
fn embed_without_json_prints_decimals_of_the_same_integers() {
    let (directory, package) = package(bert(), 22);
    let (ok, out, error) = embed(&directory.path().join("model"), &["--ids", "5,6"]);
    assert!(ok, "{error}");
    let found: Vec<i64> = out.split_whitespace().map(|v| (v.parse::<f32>().unwrap() * 32768.) as i64).collect();
    assert_eq!(json!(found), expected(&package, &[5, 6], 1)["embedding"]);
}

#[test]
fn embed_of_what_has_no_vector_is_an_error_and_prints_nothing() {
    let (encoder, _) = package(bert(), 23);
    let (decoder, _) = package(llama(), 23);
    let long = vec!["1"; 701].join(",");
    for (folder, arguments, reason) in [
        (&encoder, &["--ids", "1,67"][..], "67"),
        (&encoder, &["--ids", &long], "701"),
        (&encoder, &["--ids", "1", "--stages", "4"], "4"),
        (&decoder, &["--ids", "1"], "generate"),
    ] {
        let (ok, out, error) = embed(&folder.path().join("model"), arguments);
        assert!(!ok && out.is_empty() && error.contains(reason), "{reason}: {out} {error}");
    }
}
