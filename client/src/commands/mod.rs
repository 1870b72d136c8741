//! One file per group of commands.

mod embed;
mod infer;
mod manage;
mod order;
mod publish;
mod show;

use crate::{
    chain::Chain,
    cli::{Cli, Command},
    error::{Error, Result},
    output::Out,
};
use assay_primitives::JobHash;

/// Runs a command.
pub async fn run(cli: Cli) -> Result<()> {
    let out = Out { json: cli.json };
    let chain = Chain::connect(&cli.url, cli.insecure).await?;
    match cli.command {
        Command::Infer(args) => infer::run(&chain, out, args).await,
        Command::Embed(args) => embed::run(&chain, out, args).await,
        Command::Job { job } => show::job(&chain, out, parse_hash(&job)?).await,
        Command::Receipt { job } => show::receipt(&chain, out, parse_hash(&job)?).await,
        Command::Models => show::models(&chain, out).await,
        Command::Providers => show::providers(&chain, out).await,
        Command::Bond(args) => manage::bond(&chain, out, args).await,
        Command::Unbond(args) => manage::unbond(&chain, out, args).await,
        Command::Withdraw { key, part } => manage::withdraw(&chain, out, key, &part).await,
        Command::Ask(args) => manage::ask(&chain, out, args).await,
        Command::Register(args) => manage::register(&chain, out, args).await,
        Command::Publish(args) => publish::run(&chain, out, args).await,
    }
}

/// `0x` and 64 hex digits.
fn parse_hash(text: &str) -> Result<JobHash> {
    let mut bytes = [0u8; 32];
    hex::decode_to_slice(text.trim_start_matches("0x"), &mut bytes).map_err(|_| {
        Error::Usage(format!("`{text}` is not a job hash: 64 hex digits are expected, as `assay infer` prints them"))
    })?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_hash_accepts_both_spellings_and_nothing_else() {
        let digits = "ab".repeat(32);
        assert_eq!(parse_hash(&digits).unwrap(), parse_hash(&format!("0x{digits}")).unwrap());
        for bad in ["", "0x", "ab", &"g".repeat(64), &"ab".repeat(33)] {
            assert!(parse_hash(bad).unwrap_err().to_string().contains("64 hex digits"));
        }
    }
}
