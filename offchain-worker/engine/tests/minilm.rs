//! Encoders on real weights: all-MiniLM-L6-v2 against its float reference, over this repository's own documents.
//!
//! `ASSAY_MINILM` names the folder that `scripts/model.sh minilm` fetches; `make test` sets it. Without it nothing is tested,
//! and the test says so.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use assay_engine::{
    convert::encoder::{convert, cosine, EncoderSource},
    embed::Embedder,
    float::NoObserver,
    hex::Hex,
    kernels::Backend,
    package::Package,
    quality::text,
    stage::{Control, Setup},
    tokenizer::Tokenizer,
};
use assay_exact::header::{Kind, Pool};

/// Ranks compared.
const TOP: usize = 5;

/// Passages and queries: paragraphs, list items and table rows of the documents; their headings, and the first
/// sentence of every third passage.
fn corpus() -> (Vec<String>, Vec<String>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files: Vec<_> = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    files.sort();
    files.push(root.join("README.md"));
    let (mut passages, mut queries) = (Vec::new(), Vec::new());
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for paragraph in text.split("\n\n") {
            let mut items: Vec<String> = Vec::new();
            for line in paragraph.lines().map(str::trim).filter(|line| !line.is_empty()) {
                match line.strip_prefix('#') {
                    Some(heading) => queries.push(heading.trim_start_matches('#').trim().to_string()),
                    None if items.is_empty() || line.starts_with(['-', '|']) => items.push(line.to_string()),
                    None => items.iter_mut().last().unwrap().extend([" ", line]),
                }
            }
            for item in items.into_iter().filter(|item| item.len() >= 40) {
                let sentence = item.split_inclusive(['.', ':', ';']).next().unwrap_or_default().trim();
                if passages.len() % 3 == 0 && sentence.len() > 20 && !item.starts_with('|') {
                    queries.push(sentence.to_string());
                }
                passages.push(item);
            }
        }
    }
    (passages, queries)
}

/// The passages nearest to text `query` of `vectors`, the nearest first, with their similarity. The first `passages` vectors
/// are the passages; one of them as a query is not compared with itself.
fn ranked(query: usize, vectors: &[Vec<f32>], passages: usize) -> Vec<(usize, f64)> {
    let others = (0..passages).filter(|passage| *passage != query);
    let mut ranked: Vec<_> = others.map(|passage| (passage, cosine(&vectors[query], &vectors[passage]))).collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked
}

#[test]
fn minilm_vectors_and_retrieval_equal_the_float_model() {
    let Some(folder) = std::env::var_os("ASSAY_MINILM") else {
        eprintln!("skipped: ASSAY_MINILM is not set; `make test` sets it, or: ASSAY_MINILM=$(scripts/model.sh minilm)");
        return;
    };
    let source = EncoderSource::open(Path::new(&folder), None).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("minilm");
    let conversion = convert(&source, &out, text::calibration(), &mut |_| {}).unwrap();
    // Far above the differences between machines' float arithmetic.
    assert!(conversion.calibration.margin > 1e-4, "{}", conversion.calibration.margin);
    let package = Arc::new(Package::open(&out).unwrap());
    package.verify(Some(conversion.model_root)).unwrap();
    let header = package.header();
    assert_eq!((header.kind, header.pool, header.context), (Kind::Encoder, Pool::Mean, 256));

    let tokenizer = Tokenizer::load(&package).unwrap().truncating(header.context as usize).unwrap();
    let (passages, queries) = corpus();
    assert!(passages.len() >= 300 && queries.len() >= 100, "{} passages, {} queries", passages.len(), queries.len());
    let texts: Vec<Vec<u32>> = passages.iter().chain(&queries).map(|text| tokenizer.encode(text).unwrap()).collect();

    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut embedder = Embedder::open(&package, 1, &Setup::new(Backend::detect(), threads)).unwrap();
    let exact: Vec<Vec<f32>> =
        texts.iter().map(|ids| embedder.embed(ids, &mut Control::default()).unwrap().to_f32()).collect();
    let float = source.vectors(&texts, &mut NoObserver).unwrap();

    let cosines: Vec<f64> = exact.iter().zip(&float).map(|(exact, float)| cosine(exact, float)).collect();
    let least = cosines.iter().copied().fold(1., f64::min);
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;

    // Of the queries, and of the passages: what is near to this one?
    let (mut same, mut shared, mut regret) = ([0, 0], 0, 0f64);
    for query in 0..texts.len() {
        let by_float = ranked(query, &float, passages.len());
        let top = |ranked: &[(usize, f64)]| ranked[..TOP].iter().map(|(id, _)| *id).collect::<BTreeSet<_>>();
        let (expected, found) = (top(&by_float), top(&ranked(query, &exact, passages.len())));
        same[usize::from(query < passages.len())] += usize::from(expected == found);
        shared += expected.intersection(&found).count();
        // How much nearer, to the float model, the worst passage of its own five is than the worst of these.
        let worst = by_float.iter().filter(|(id, _)| found.contains(id)).map(|(_, s)| *s).fold(1., f64::min);
        regret = regret.max(by_float[TOP - 1].1 - worst);
    }
    eprintln!(
        "{} passages, {} queries; cosine {least:.7} least, {mean:.7} mean; the same {TOP} passages for {} of the queries and {} of \
         the passages, {shared} of {} shared, similarity lost at most {regret:.5}; root {}",
        passages.len(),
        queries.len(),
        same[0],
        same[1],
        TOP * texts.len(),
        Hex(&conversion.model_root),
    );
    assert!(least >= 0.99999 && mean >= 0.99999, "the least cosine is {least}, the mean {mean}");
    // Together, because one near tie more or less among the queries alone is chance.
    let same = same.iter().sum::<usize>() as f64 / texts.len() as f64;
    assert!(same >= 0.99, "for {same} of the texts the same passages are found, {shared} of them all");
}
