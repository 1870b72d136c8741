// Ten prompts at once: all verified by three controllers per stage, nobody faulted, everybody paid what the receipts say.

const assert = require("node:assert");
const lib = require("./lib.js");

const PROMPTS = [
  "The borrow checker", "A trait object is", "Use `cargo build` to", "The match expression", "An iterator",
  "fn main() {", "Lifetimes are", "A slice is a", "The Option type", "The borrow checker",
];

async function run(node, networkInfo) {
  const net = await lib.connect(networkInfo, node);
  const { api } = net;
  const log = await lib.record(api);
  const client = lib.account("Eve");
  const before = (await api.query.system.account(client.address)).data;
  const start = (await api.rpc.system.accountNextIndex(client.address)).toNumber();

  const jobs = await Promise.all(
    PROMPTS.map(async (prompt, i) => {
      // The first and the last are the same greedy job; the others draw with their own seeds.
      const sampling =
        i % 9 === 0
          ? {}
          : { sampling: { temperature: 800, topK: 40, topP: 60000, seed: `0x${i.toString(16).padStart(64, "0")}` } };
      return lib.submit(net, client, await lib.specification(net, prompt, sampling), start + i);
    }),
  );
  const receipts = await Promise.all(jobs.map(({ job }) => lib.receiptOf(net, log, job)));

  for (const [i, r] of receipts.entries()) {
    assert.strictEqual(r.assurance.k.toNumber(), 3);
    assert(r.output.asIds.length >= 1 && r.output.asIds.length <= 12);
    assert.strictEqual(r.stages.length, 2);
    let paid = 0n;
    for (const s of r.stages) {
      assert(s.root.isSome, "the stage root was opened");
      assert.strictEqual(s.checkers.length, 2, "two checkers agreed");
      const who = [s.executor, ...s.checkers.map(([c]) => c)].map((a) => a.toString());
      assert.strictEqual(new Set(who).size, 3, "three different controllers");
      paid += s.paid.toBigInt() + s.checkers.reduce((sum, [, fee]) => sum + fee.toBigInt(), 0n);
    }
    const legs = paid + r.burned.toBigInt() + r.refunded.toBigInt();
    assert.strictEqual(legs, jobs[i].escrow, "the legs are the released escrow");
  }
  assert.deepStrictEqual(receipts[0].output.toJSON(), receipts[9].output.toJSON(), "greedy answers repeat bit for bit");
  assert.strictEqual(log.of(api.events.verification.Fault).length, 0, "nobody was faulted");
  assert.strictEqual(log.of(api.events.slashing.OffenceReported).length, 0, "nobody was slashed");
  await lib.nothingLeft(net);

  // The client paid the escrows less the refunds, and the fees of its ten calls, and nothing else.
  const after = (await api.query.system.account(client.address)).data;
  assert.strictEqual(after.reserved.toBigInt(), 0n);
  const fees = log
    .of(api.events.transactionPayment.TransactionFeePaid)
    .filter((e) => e.data.who.eq(client.address))
    .reduce((sum, e) => sum + e.data.actualFee.toBigInt() + e.data.tip.toBigInt(), 0n);
  const spent = receipts.reduce((sum, r, i) => sum + jobs[i].escrow - r.refunded.toBigInt(), 0n);
  assert.strictEqual(before.free.toBigInt() - after.free.toBigInt(), spent + fees);

  log.stop();
  await api.disconnect();
  return 0;
}

module.exports = { run };
