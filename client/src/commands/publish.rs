//! `assay publish`: a model package's header and roots onto the chain.

use super::manage::{parse_span, report};
use crate::{
    chain::Chain,
    cli::Publish,
    error::{Error, Result},
    output::Out,
    tx,
};
use assay_exact::{hash::Blake2b, header::Header, merkle};
use assay_primitives::{JobHash, PerStage, Span};
use serde::Deserialize;
use std::path::Path;

/// The chain takes no longer ones.
const MAX_HEADER: usize = 1_024;
/// A list of entries beyond this size is refused before it is read.
const MAX_MANIFEST: u64 = 1 << 20;

/// What this command needs of a package's `manifest.json`.
#[derive(Deserialize)]
struct Manifest {
    model_root: String,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    file: String,
    root: String,
}

/// What the chain is given of a package.
#[derive(Debug)]
struct Package {
    header: Vec<u8>,
    entries: Vec<JobHash>,
    layers: u16,
}

/// Runs the command.
pub async fn run(chain: &Chain, out: Out, args: Publish) -> Result<()> {
    let package = Package::read(&args.package)?;
    let folder = || args.package.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = args.name.clone().unwrap_or_else(folder);
    if name.is_empty() || name.len() > 64 {
        return Err(Error::Usage(format!("`{name}`: a name has 1 to 64 bytes; give --name")));
    }
    let templates = templates(&args.template, package.layers)?;
    let signer = tx::keypair(&args.key)?;
    let call = (name.as_bytes(), &package.header, &package.entries, templates);
    let done = tx::submit(chain, &signer, "Models", "register", call).await?;
    report(out, "published", format!("{name} is registered as 0x{}", hex::encode(package.root())), &done.block);
    out.progress("next: start nodes with --model and this folder; their providers ask with `assay ask --model`");
    Ok(())
}

impl Package {
    /// Reads header and roots, and checks that they belong together. The entries' bytes are the nodes' to check.
    fn read(folder: &Path) -> Result<Self> {
        let wrong = |file: &str, why: String| Error::Usage(format!("{}: {why}", folder.join(file).display()));
        let path = folder.join("manifest.json");
        let bytes = std::fs::metadata(&path).map_err(|e| wrong("manifest.json", e.to_string()))?.len();
        if bytes > MAX_MANIFEST {
            return Err(wrong("manifest.json", format!("{bytes} bytes; at most {MAX_MANIFEST} are read")));
        }
        let text = std::fs::read(&path).map_err(|e| wrong("manifest.json", e.to_string()))?;
        let Manifest { model_root, entries } =
            serde_json::from_slice(&text).map_err(|e| wrong("manifest.json", e.to_string()))?;
        let Some((first, rest)) = entries.split_first() else {
            return Err(wrong("manifest.json", "entries: it lists none".into()));
        };
        let bytes = std::fs::metadata(folder.join(&first.file)).map_err(|e| wrong(&first.file, e.to_string()))?.len();
        if bytes > MAX_HEADER as u64 {
            return Err(wrong(&first.file, format!("{bytes} bytes; a header on the chain has at most {MAX_HEADER}")));
        }
        let header = std::fs::read(folder.join(&first.file)).map_err(|e| wrong(&first.file, e.to_string()))?;
        let parsed = Header::parse(&header).map_err(|e| wrong(&first.file, e.to_string()))?;
        let root = |entry: &Entry| -> Result<JobHash> {
            let mut root = [0; 32];
            hex::decode_to_slice(&entry.root, &mut root)
                .map_err(|e| wrong("manifest.json", format!("root of {}: {e}", entry.file)))?;
            Ok(root.into())
        };
        let entries = rest.iter().map(root).collect::<Result<Vec<_>>>()?;
        let layers = u16::try_from(parsed.layers).map_err(|e| wrong(&first.file, format!("layers: {e}")))?;
        let package = Self { header, entries, layers };
        if hex::encode(package.root()) != model_root {
            let why = "model_root: it is not the root of the header and the entries; convert the model again";
            return Err(wrong("manifest.json", why.into()));
        }
        Ok(package)
    }

    /// The model's id (`docs/exact.md`, section 11).
    fn root(&self) -> [u8; 32] {
        let header = merkle::blob::<Blake2b>(&self.header);
        merkle::list::<Blake2b, _>(std::iter::once(header).chain(self.entries.iter().map(|entry| entry.0)))
    }
}

/// The templates of the arguments; one of a single stage if there are none.
fn templates(arguments: &[String], layers: u16) -> Result<Vec<PerStage<Span>>> {
    let whole = [format!("0..{layers}")];
    let arguments = if arguments.is_empty() { &whole } else { arguments };
    let template = |text: &String| -> Result<PerStage<Span>> {
        let spans = text.split(',').map(parse_span).collect::<Result<Vec<_>>>()?;
        let end = spans.iter().try_fold(0, |at, span| (span.first == at).then_some(span.end));
        if end != Some(layers) {
            return Err(Error::Usage(format!("`{text}` does not cover the layers 0..{layers} once, in order")));
        }
        spans.try_into().map_err(|_| Error::Usage(format!("`{text}` has too many stages")))
    };
    arguments.iter().map(template).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/demo");

    /// A folder with the demo's manifest, and a header.
    fn folder(header: &[u8], manifest: &str) -> std::path::PathBuf {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("assay-publish-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("header.bin"), header).unwrap();
        std::fs::write(folder.join("manifest.json"), manifest).unwrap();
        folder
    }

    fn read(header: &[u8], manifest: &str) -> Result<Package> {
        let folder = folder(header, manifest);
        let package = Package::read(&folder);
        std::fs::remove_dir_all(folder).unwrap();
        package
    }

    #[test]
    fn package_read_checks_header_and_roots() {
        let manifest = std::fs::read_to_string(format!("{DEMO}/manifest.json")).unwrap();
        let refused = |header: &[u8], manifest: &str, why: &str| {
            let error = read(header, manifest).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        };
        refused(&[0; 2_000], &manifest, "at most 1024");
        refused(b"no header", &manifest, "header.bin: ");
        refused(b"", "{}", "manifest.json: missing field");
        refused(b"", r#"{"model_root":"","entries":[]}"#, "entries: it lists none");
        let missing = Package::read("/nowhere/model".as_ref()).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/model/manifest.json"), "{missing}");
    }

    #[test]
    fn templates_cover_the_layers_or_are_explained() {
        let span = |first, end| Span { first, end };
        assert_eq!(templates(&[], 6).unwrap(), vec![PerStage::try_from(vec![span(0, 6)]).unwrap()]);
        let two = templates(&["0..3,3..6".into()], 6).unwrap();
        assert_eq!(two, vec![PerStage::try_from(vec![span(0, 3), span(3, 6)]).unwrap()]);
        for bad in ["0..3", "0..3,4..6", "3..6,0..3", "0..7", "", "0..3,3..3,3..6"] {
            assert!(templates(&[bad.into()], 6).is_err(), "{bad}");
        }
    }
}
