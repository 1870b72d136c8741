//! Reading commands: jobs, receipts, models, providers.

use crate::{
    chain::Chain,
    error::{Error, Result},
    output::{hex, Out},
};
use assay_primitives::{api::JobView, traits::ModelKind, CheckVerdict, JobHash, JobTask, Output, Receipt};
use serde_json::json;

/// `assay models`.
pub async fn models(chain: &Chain, out: Out) -> Result<()> {
    for m in chain.models().await? {
        let mut templates = Vec::new();
        for t in 0..=u8::MAX {
            match chain.template(m.id, t).await? {
                Some(spans) => {
                    templates.push(spans.iter().map(|s| format!("{}..{}", s.first, s.end)).collect::<Vec<_>>())
                }
                None => break,
            }
        }
        let name = String::from_utf8_lossy(&m.name).into_owned();
        let kind = match m.kind {
            ModelKind::Decoder => "decoder",
            ModelKind::Encoder => "encoder",
        };
        out.event(json!({
            "event": "model", "id": hex(m.id), "name": name, "kind": kind, "width": m.width, "active": m.active, "layers": m.layers, "vocab": m.vocab,
            "context": m.context, "spec": m.spec_id, "templates": templates,
        }));
        out.say(format!(
            "{name}{}\n  id         {}\n  size       {kind} of {} layers, vocabulary {}, context {}\n  semantics  spec {}",
            if m.active { "" } else { "  (not accepting jobs)" },
            hex(m.id),
            m.layers,
            m.vocab,
            m.context,
            m.spec_id
        ));
        for (i, spans) in templates.iter().enumerate() {
            out.say(format!("  template {i} {} stage(s): {}", spans.len(), spans.join(", ")));
        }
    }
    Ok(())
}

/// `assay providers`.
pub async fn providers(chain: &Chain, out: Out) -> Result<()> {
    for p in chain.providers().await? {
        let peer = String::from_utf8_lossy(&p.peer).into_owned();
        out.event(json!({
            "event": "provider", "controller": p.controller.to_string(), "worker": p.worker.to_string(), "peer": peer,
            "active": p.active, "bond": p.bond.to_string(), "free": p.free.to_string(), "penaltyPermille": p.penalty_permille,
            "asks": p.asks.iter().map(|a| json!({
                "model": hex(a.key.model), "first": a.key.span.first, "end": a.key.span.end, "price": a.ask.price.to_string(),
                "slots": a.ask.slots, "checkSlots": a.ask.check_slots, "rate": a.ask.rate, "usable": a.usable, "since": a.since,
                "executing": a.executing, "checking": a.checking,
            })).collect::<Vec<_>>(),
        }));
        out.say(format!(
            "{}{}\n  worker {}  peer {}\n  bond   {}, free {}, penalty {} per mille",
            p.controller,
            if p.active { "" } else { "  (draining)" },
            p.worker,
            if peer.is_empty() { "not announced yet" } else { &peer },
            chain.token.show(p.bond),
            chain.token.show(p.free),
            p.penalty_permille
        ));
        for a in &p.asks {
            out.say(format!(
                "  ask    {}.. layers {}..{}  {} per work unit, slots {}/{} executing, {}/{} checking{}",
                &hex(a.key.model)[..10],
                a.key.span.first,
                a.key.span.end,
                chain.token.show(a.ask.price),
                a.executing,
                a.ask.slots,
                a.checking,
                a.ask.check_slots,
                if a.usable { "" } else { ", not usable yet" }
            ));
        }
    }
    Ok(())
}

/// `assay job`.
pub async fn job(chain: &Chain, out: Out, hash: JobHash) -> Result<()> {
    match chain.job(hash).await? {
        Some(view) => {
            print_job(chain, out, &view);
            Ok(())
        }
        None => match chain.receipt(hash, false).await? {
            Some(_) => receipt(chain, out, hash).await,
            None => Err(unknown(hash)),
        },
    }
}

fn unknown(hash: JobHash) -> Error {
    Error::NotFound(format!(
        "the chain knows no job {}: it never was, was refunded, or is older than the receipts that the state keeps",
        hex(hash)
    ))
}

fn print_job(chain: &Chain, out: Out, v: &JobView) {
    let verdict = |a: &Option<CheckVerdict>| match a {
        None => "no answer yet",
        Some(CheckVerdict::Agree(_)) => "agrees",
        Some(CheckVerdict::Dissent(_)) => "dissents",
        Some(CheckVerdict::Unavailable) => "could not get the rows",
    };
    let (task, asks) = match &v.spec.task {
        JobTask::Generate { max_new_tokens, .. } => ("generate", format!("up to {max_new_tokens} tokens")),
        JobTask::Embed => ("embed", "their vector".into()),
    };
    let input = v.spec.input_len();
    out.event(json!({
        "event": "job", "job": hex(v.job), "client": v.client.to_string(), "model": hex(v.spec.model), "phase": format!("{:?}", v.phase),
        "attempt": v.attempt, "now": v.now, "due": v.due, "held": v.held.to_string(), "inputTokens": input,
        "task": task, "maxNewTokens": v.spec.task.max_new_tokens(), "k": v.spec.mode.k(),
        "stages": v.stages.iter().map(|s| json!({
            "first": s.span.first, "end": s.span.end, "executor": s.executor.to_string(), "price": s.price.to_string(),
            "committed": s.commit.is_some(), "blocked": s.blocked, "root": s.commit.as_ref().and_then(|c| c.root.map(hex)),
            "seats": s.seats.iter().map(|c| json!({ "controller": c.controller.to_string(), "answer": c.answer.map(|a| format!("{a:?}")) })).collect::<Vec<_>>(),
            "disputed": s.dispute.is_some(),
        })).collect::<Vec<_>>(),
    }));
    out.say(format!(
        "job     {}\nclient  {}\nphase   {:?}, attempt {}, due at tick {} (now {})\nheld    {} now\nasks    {asks} of {input} tokens, k = {}",
        hex(v.job), v.client, v.phase, v.attempt, v.due, v.now, chain.token.show(v.held), v.spec.mode.k()
    ));
    for (i, s) in v.stages.iter().enumerate() {
        let state = match (&s.commit, s.blocked) {
            (Some(c), _) => c.root.map_or("committed".to_string(), |r| format!("opened {}", hex(r))),
            (None, true) => "blocked: nothing arrived from upstream".into(),
            (None, false) => "running".into(),
        };
        out.say(format!("stage {i} layers {}..{}  {}  {state}", s.span.first, s.span.end, s.executor));
        for c in &s.seats {
            out.say(format!("    checker {}  {}", c.controller, verdict(&c.answer)));
        }
        if let Some(d) = &s.dispute {
            out.say(format!(
                "    disputed: {} of {} holders voted",
                d.electorate.iter().filter(|e| e.2).count(),
                d.electorate.len()
            ));
        }
    }
}

/// `assay receipt`.
pub async fn receipt(chain: &Chain, out: Out, hash: JobHash) -> Result<()> {
    let (receipt, final_) = match chain.receipt(hash, true).await? {
        Some(r) => (r, true),
        None => (chain.receipt(hash, false).await?.ok_or_else(|| unknown(hash))?, false),
    };
    check(&receipt, hash, None)?;
    print_receipt(chain, out, &receipt, None).await?;
    out.event(json!({ "event": "finality", "final": final_ }));
    out.say(if final_ {
        "final: GRANDPA has finalized it"
    } else {
        "provisional: in the best block, not finalized yet"
    });
    Ok(())
}

/// What a receipt alone lets anyone check, and whether it is of the job that was asked for, with as many controllers per stage where
/// `k` is known.
pub fn check(r: &Receipt, job: JobHash, k: Option<u8>) -> Result<()> {
    if r.job != job {
        return Err(Error::BadReceipt(format!("it is of job {}, and that of {} was asked for", hex(r.job), hex(job))));
    }
    if let Some(k) = k.filter(|k| *k != r.assurance.k) {
        let claims = r.assurance.k;
        return Err(Error::BadReceipt(format!("it claims {claims} controllers per stage, and {k} were asked for")));
    }
    let unopened = r.stages.iter().any(|s| s.root.is_none());
    if r.assurance.k > 1 && unopened {
        return Err(Error::BadReceipt("it claims a quorum, but a stage root was not opened".into()));
    }
    let short = r.stages.iter().any(|s| s.checkers.len() + 1 < usize::from(r.assurance.k));
    if r.assurance.k > 1 && short && !r.assurance.escalated {
        return Err(Error::BadReceipt("a stage has fewer agreeing checkers than the quorum it claims".into()));
    }
    if r.stages.iter().any(|s| s.checkers.iter().any(|(c, _)| *c == s.executor)) {
        return Err(Error::BadReceipt("an executor is named as its own checker".into()));
    }
    Ok(())
}

/// A vector as real numbers: each is a multiple of 2^-15.
pub fn real(vector: &[i16]) -> Vec<f32> {
    vector.iter().map(|v| f32::from(*v) / 32_768.0).collect()
}

/// Prints a receipt; `answer` as text if the caller has it.
pub async fn print_receipt(chain: &Chain, out: Out, r: &Receipt, answer: Option<&str>) -> Result<()> {
    let a = r.assurance;
    let vector = match &r.output {
        Output::Ids(_) => None,
        Output::Vector(vector) => Some(vector.to_vec()),
    };
    out.event(json!({
        "event": "receipt", "job": hex(r.job), "client": r.client.to_string(), "model": hex(r.model), "attempt": r.attempt,
        "paramsVersion": r.params_version, "idsRoot": hex(r.ids_root), "inputTokens": r.input_len, "output": r.output.ids(), "text": answer,
        "vector": vector,
        "verified": a.k > 1, "k": a.k, "beaconAuthors": a.beacon_authors, "overlap": a.overlap, "relaxed": a.relaxed, "escalated": a.escalated,
        "burned": r.burned.to_string(), "refunded": r.refunded.to_string(), "tick": r.tick,
        "stages": r.stages.iter().map(|s| json!({
            "first": s.span.first, "end": s.span.end, "executor": s.executor.to_string(), "paid": s.paid.to_string(), "work": s.work,
            "root": s.root.map(hex),
            "checkers": s.checkers.iter().map(|(c, f)| json!({ "controller": c.to_string(), "fee": f.to_string() })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    }));
    out.say(format!(
        "\nreceipt  {}\n  {}: {} tokens in, {}, attempt {}",
        hex(r.job),
        if a.k > 1 {
            format!("VERIFIED bit for bit by {} controllers per stage", a.k)
        } else {
            "unverified, as asked for".into()
        },
        r.input_len,
        match &r.output {
            Output::Ids(ids) => format!("{} generated", ids.len()),
            Output::Vector(vector) => format!("a vector of {} entries", vector.len()),
        },
        r.attempt
    ));
    for (i, s) in r.stages.iter().enumerate() {
        out.say(format!(
            "  stage {i}  layers {}..{}  root {}",
            s.span.first,
            s.span.end,
            s.root.map_or("not opened".into(), hex)
        ));
        out.say(format!("    executor {} was paid {} for {} work units", s.executor, chain.token.show(s.paid), s.work));
        for (checker, fee) in &s.checkers {
            out.say(format!("    checker  {checker} was paid {}", chain.token.show(*fee)));
        }
    }
    out.say(format!(
        "  burned {}, returned to the client {}",
        chain.token.show(r.burned),
        chain.token.show(r.refunded)
    ));
    let mut notes = Vec::new();
    if a.k > 1 {
        notes.push(format!("checkers drawn by the VRFs of {} block author(s)", a.beacon_authors));
    }
    if a.overlap {
        notes.push("a checker of one stage executed another".into());
    }
    if a.relaxed {
        notes.push("this chain's preset relaxes how many controllers must hold a span".into());
    }
    if a.escalated {
        notes.push("stands by a verdict of the span's holders".into());
    }
    if !notes.is_empty() {
        out.say(format!("  note: {}", notes.join("; ")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_primitives::{AccountId, Assurance, Span, StageReceipt};

    fn account(i: u8) -> AccountId {
        AccountId::new([i; 32])
    }

    /// A receipt over one stage that an executor and `k - 1` others agree on.
    fn receipt(k: u8) -> Receipt {
        let stage = StageReceipt {
            span: Span { first: 0, end: 4 },
            executor: account(1),
            paid: 1,
            work: 1,
            root: (k > 1).then(|| JobHash::repeat_byte(5)),
            checkers: (1..k).map(|i| (account(i + 1), 1)).collect::<Vec<_>>().try_into().unwrap(),
        };
        Receipt {
            job: JobHash::repeat_byte(1),
            client: account(9),
            model: JobHash::repeat_byte(2),
            attempt: 0,
            params_version: 1,
            ids_root: JobHash::repeat_byte(3),
            input_len: 1,
            output: Output::Ids(vec![7].try_into().unwrap()),
            assurance: Assurance { k, beacon_authors: 1, overlap: false, relaxed: false, escalated: false },
            stages: vec![stage].try_into().unwrap(),
            burned: 0,
            refunded: 0,
            tick: 1,
        }
    }

    #[test]
    fn check_takes_what_was_asked_for() {
        for k in [1, 2, 3] {
            let receipt = receipt(k);
            check(&receipt, receipt.job, Some(k)).unwrap();
            check(&receipt, receipt.job, None).unwrap();
        }
    }

    #[test]
    fn check_refuses_another_job_another_quorum_and_what_does_not_hold_its_claim() {
        let job = receipt(3).job;
        let refused = |r: &Receipt, job, k, why: &str| {
            let error = check(r, job, k).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
            assert_eq!(error.exit_code(), 8);
        };
        refused(&receipt(3), JobHash::repeat_byte(9), None, "it is of job 0x0101");
        refused(&receipt(1), job, Some(3), "it claims 1 controllers");
        refused(&receipt(2), job, Some(3), "it claims 2 controllers");
        let mut closed = receipt(3);
        closed.stages[0].root = None;
        refused(&closed, job, Some(3), "not opened");
        let mut short = receipt(3);
        short.stages[0].checkers = Default::default();
        refused(&short, job, Some(3), "fewer agreeing checkers");
        let mut own = receipt(3);
        own.stages[0].checkers[0].0 = account(1);
        refused(&own, job, Some(3), "its own checker");
    }
}
