// Charlie, an executor, lies: it corrupts one activation of its stage and commits to the consequences, or commits to another text
// beside the honest stage root of that text. It alone is slashed, by the exact amount; the client pays nothing more for it, and
// the job completes elsewhere.

const assert = require("node:assert");
const lib = require("./lib.js");

async function run(node, networkInfo, [only] = []) {
  const net = await lib.connect(networkInfo, node);
  const { api } = net;
  if (only === undefined) {
    await lib.makeCheapest(net, ["Charlie"]);
  } else {
    // Among equal asks the job's hash decides, and nobody executes two stages: the other stages are somebody else's.
    await lib.makeCheapest(net, ["Alice"], lib.STAGES.filter((_, stage) => stage !== Number(only)));
    await lib.makeCheapest(net, ["Charlie"], [lib.STAGES[only]]);
  }
  const log = await lib.record(api);
  const client = lib.account("Eve");
  const bonds = Object.fromEntries(await Promise.all(lib.VALIDATORS.map(async (v) => [v, await lib.bondOf(net, v)])));

  const spec = await lib.specification(net, "The borrow checker");
  const { job, escrow, assigned } = await lib.submit(net, client, spec);
  const stage = assigned.stages.findIndex((s) => s.executor.eq(lib.address("Charlie")));
  assert(stage >= 0, "Charlie asks least, so it executes a stage");
  if (only !== undefined) assert.strictEqual(stage, Number(only));
  const amount = (await lib.penalties(net, spec, assigned)).wrongResult(stage, bonds.Charlie);

  const receipt = await lib.receiptOf(net, log, job);
  assert.strictEqual(receipt.attempt.toNumber(), 1, "the second attempt succeeded");
  assert.strictEqual(receipt.assurance.k.toNumber(), 3);
  for (const s of receipt.stages) {
    const who = [s.executor, ...s.checkers.map(([c]) => c)].map(lib.nameOf);
    assert(!who.includes("Charlie"), "the guilty one took no further part");
  }

  await lib.until("the slash is executed", async () => log.of(api.events.slashing.SlashExecuted).length > 0);

  const offences = log.of(api.events.slashing.OffenceReported);
  assert.strictEqual(offences.length, 1, "one offence");
  assert(offences[0].data.kind.isWrongResult);
  assert.strictEqual(offences[0].data.amount.toBigInt(), amount);
  const [executed] = log.of(api.events.slashing.SlashExecuted);
  assert.strictEqual(lib.nameOf(executed.data.key.offender), "Charlie");
  assert.strictEqual(executed.data.burned.toBigInt(), amount, "no reporter, nothing insured: all of it burns");
  for (const v of lib.VALIDATORS) {
    const lost = v === "Charlie" ? amount : 0n;
    assert.strictEqual(await lib.bondOf(net, v), bonds[v] - lost, `${v}'s bond`);
  }

  // One escrow covered both attempts: the legs of the second one are all that was spent.
  let legs = receipt.burned.toBigInt() + receipt.refunded.toBigInt();
  for (const s of receipt.stages) {
    legs += s.paid.toBigInt() + s.checkers.reduce((sum, [, fee]) => sum + fee.toBigInt(), 0n);
  }
  assert(legs <= escrow, "never more than was held");
  assert.strictEqual((await api.query.system.account(client.address)).data.reserved.toBigInt(), 0n);
  await lib.nothingLeft(net);
  log.stop();
  await api.disconnect();
  return 0;
}

module.exports = { run };
