// An encoder, as its users meet it: published and asked for by the command line, offered by four providers in two stages, and its
// vectors verified by three controllers per stage. They are those that one process computes, bit for bit.
//
// ASSAY_CLI      the command line
// ASSAY_ENGINE   the engine's command line
// ASSAY_MODEL    the package that every node holds

const assert = require("node:assert");
const lib = require("./lib.js");

const STAGES = [
  [0, 3],
  [3, 6],
];
const TEXTS = [
  "How do I borrow a value in Rust?",
  "Ownership rules let a function take a reference without taking the value.",
  "The cake needs two eggs, some flour and an hour in the oven.",
];
const cosine = (a, b) => {
  const dot = (x, y) => x.reduce((sum, v, i) => sum + v * y[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
};

async function run(node, networkInfo) {
  const net = await lib.connect(networkInfo, node);
  const { api } = net;
  const log = await lib.record(api);
  const { assay, engine, publish, refused, offer } = lib.commands(networkInfo.nodesByName[node].wsUri);

  // A model is published once.
  await publish("minilm", STAGES);
  await refused("AlreadyRegistered", publish("minilm", STAGES));
  const model = (await api.call.inferenceApi.models()).find((m) => m.name.toUtf8() === "minilm");
  assert(model.kind.isEncoder);
  assert.strictEqual(model.width.toNumber(), 384);

  // Whoever holds it offers it.
  await refused("NoHolder", assay("embed", "--model", "minilm", "--suri", "//Eve", TEXTS[0]));
  await offer(net, "minilm", STAGES);

  // What cannot be is refused before anything is held.
  await refused("is an encoder", assay("infer", "--model", "minilm", "--suri", "//Eve", TEXTS[0]));
  await refused("is a decoder", assay("embed", "--model", "demo", "--suri", "//Eve", TEXTS[0]));
  await refused("tokens", assay("embed", "--model", "minilm", "--suri", "//Eve", "word ".repeat(5000)));

  const vectors = [];
  for (const text of TEXTS) {
    const events = await assay("embed", "--model", "minilm", "--suri", "//Eve", text);
    const receipt = events.find((e) => e.event === "receipt");
    assert.deepStrictEqual([receipt.verified, receipt.k, receipt.stages.length], [true, 3, 2]);
    for (const stage of receipt.stages) {
      assert(stage.root, "the stage root was opened");
      const who = [stage.executor, ...stage.checkers.map((c) => c.controller)];
      assert.strictEqual(new Set(who).size, 3, "three different controllers");
    }
    const alone = await engine("embed", "--model", process.env.ASSAY_MODEL, text);
    assert.deepStrictEqual(receipt.vector, alone.embedding, "the network's vector is that of one process");
    assert(Math.abs(cosine(receipt.vector, receipt.vector) - 1) < 1e-9 && receipt.vector.some((v) => v !== 0));
    vectors.push(receipt.vector);
  }
  const [near, far] = [cosine(vectors[0], vectors[1]), cosine(vectors[0], vectors[2])];
  assert(near > far + 0.1, `what belongs together is near: ${near} ${far}`);

  assert.strictEqual(log.of(api.events.verification.Fault).length, 0, "nobody was faulted");
  await lib.nothingLeft(net);
  log.stop();
  await api.disconnect();
  return 0;
}

module.exports = { run };
