// Asks a node about the chain, through the standard JavaScript library and without a custom types bundle: the metadata
// decodes, the token is ours, the validators are as many as expected, and blocks come every two seconds.
//
// Returns 0, or throws with what is wrong.

const assert = require("node:assert");

const SLOT_MS = 2000;
// Clocks are read when a block is begun, so that the mean is off by milliseconds; and a slot may pass without a block while
// four nodes start on one small machine.
const LEAST_MEAN_MS = 0.9 * SLOT_MS;
const GREATEST_MEAN_MS = 1.5 * SLOT_MS;

async function run(nodeName, networkInfo, args) {
  const { wsUri, userDefinedTypes } = networkInfo.nodesByName[nodeName];
  const api = await zombie.connect(wsUri, userDefinedTypes);

  assert.strictEqual(api.runtimeVersion.specName.toString(), "assay");
  assert.deepStrictEqual(api.registry.chainTokens, ["ASY"]);
  assert.deepStrictEqual(api.registry.chainDecimals, [12]);
  assert.strictEqual(api.consts.babe.expectedBlockTime.toNumber(), SLOT_MS);

  const validators = await api.query.session.validators();
  assert.strictEqual(validators.length, Number(args[0]), "number of validators");

  const health = await api.rpc.system.health();
  assert.strictEqual(health.peers.toNumber(), validators.length - 1, "number of peers");

  const head = (await api.rpc.chain.getHeader()).number.toNumber();
  const times = [];
  for (const number of [head - 5, head]) {
    const at = await api.at(await api.rpc.chain.getBlockHash(number));
    times.push((await at.query.timestamp.now()).toNumber());
  }
  const mean = (times[1] - times[0]) / 5;
  assert(mean >= LEAST_MEAN_MS && mean <= GREATEST_MEAN_MS, `mean block time is ${mean} ms`);

  return 0;
}

module.exports = { run };
