// A language model as its users meet it: SmolLM2-135M-Instruct, published and asked for by the command line, offered by four
// providers in two stages, answering three chats at once. Every answer is verified by three controllers per stage, and is the
// one that a single process gives, id for id.
//
// ASSAY_CLI      the command line
// ASSAY_ENGINE   the engine's command line
// ASSAY_MODEL    the package that every node holds

const assert = require("node:assert");
const lib = require("./lib.js");

const STAGES = [
  [0, 15],
  [15, 30],
];
const TOKENS = 40;
const QUESTIONS = ["What is the capital of France?", "Name three primary colours.", "Why is the sky blue?"];

async function run(node, networkInfo) {
  const net = await lib.connect(networkInfo, node);
  const { api } = net;
  const log = await lib.record(api);
  const { assay, engine, publish, offer } = lib.commands(networkInfo.nodesByName[node].wsUri);

  await publish("smollm2", STAGES);
  await offer(net, "smollm2", STAGES);

  // The model's own form of a chat, as its template makes it; asked at once, so that the nodes step them together.
  const answers = await Promise.all(
    QUESTIONS.map(async (question, i) => {
      const prompt = `<|im_start|>user\n${question}<|im_end|>\n<|im_start|>assistant\n`;
      const most = ["--max-new-tokens", `${TOKENS}`];
      const events = await assay("infer", "--model", "smollm2", ...most, "--suri", `//${lib.VALIDATORS[i]}`, prompt);
      const receipt = events.find((e) => e.event === "receipt");
      assert.deepStrictEqual([receipt.verified, receipt.k, receipt.stages.length], [true, 3, 2]);
      const alone = await engine("generate", "--package", process.env.ASSAY_MODEL, ...most, "--prompt", prompt);
      const ids = alone.ids.slice(alone.prompt_length);
      assert.deepStrictEqual(receipt.output, ids, "the network's answer is that of one process");
      return receipt.text;
    }),
  );
  console.log(answers);
  assert(answers[0].includes("Paris"), answers[0]);

  assert.strictEqual(log.of(api.events.verification.Fault).length, 0, "nobody was faulted");
  await lib.nothingLeft(net);
  log.stop();
  await api.disconnect();
  return 0;
}

module.exports = { run };
