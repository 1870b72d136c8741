// Dave, drawn as a checker, dissents from a right result. The span's holders vote, Dave is slashed, the executor is not, and the
// answer stands.

const assert = require("node:assert");
const lib = require("./lib.js");

async function run(node, networkInfo) {
  const net = await lib.connect(networkInfo, node);
  const { api } = net;
  // Alice and Bob execute, so Charlie and Dave are the only checkers to draw.
  await lib.makeCheapest(net, ["Alice", "Bob"]);
  const log = await lib.record(api);
  const bonds = Object.fromEntries(await Promise.all(lib.VALIDATORS.map(async (v) => [v, await lib.bondOf(net, v)])));

  const spec = await lib.specification(net, "A trait object is");
  const { job, assigned } = await lib.submit(net, lib.account("Eve"), spec);
  const penalties = await lib.penalties(net, spec, assigned);
  const receipt = await lib.receiptOf(net, log, job);
  assert.strictEqual(receipt.attempt.toNumber(), 0, "the first attempt stands");
  assert(receipt.assurance.escalated.isTrue, "the receipt says that it was disputed");
  assert(log.of(api.events.verification.Escalated).length > 0);
  assert(log.of(api.events.verification.Ruled).every((e) => e.data.upheld.isTrue), "every ruling upholds the executor");

  await lib.until("the slash is executed", async () => log.of(api.events.slashing.SlashExecuted).length > 0);
  const offences = log.of(api.events.slashing.OffenceReported);
  assert(offences.length > 0);
  let amount = 0n;
  for (const { data } of offences) {
    assert(data.kind.isFalseDissent);
    assert.strictEqual(lib.nameOf(data.key.offender), "Dave");
    const expected = penalties.falseDissent(data.key.at.stage.toNumber(), lib.VALIDATORS.length, bonds.Dave);
    assert.strictEqual(data.amount.toBigInt(), expected, "the backing of its seat, at most a tenth of its bond");
    amount += expected;
  }
  await lib.until("every slash is executed", async () => log.of(api.events.slashing.SlashExecuted).length === offences.length);
  for (const v of lib.VALIDATORS) {
    assert.strictEqual(await lib.bondOf(net, v), bonds[v] - (v === "Dave" ? amount : 0n), `${v}'s bond`);
  }
  await lib.nothingLeft(net);
  log.stop();
  await api.disconnect();
  return 0;
}

module.exports = { run };
