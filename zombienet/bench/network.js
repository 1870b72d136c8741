// Speed, latency and cost of jobs on four validators on this machine. `make bench` runs it.
//
// ASSAY_ENGINE   the engine's command line, for the speed of one process
// ASSAY_REPORT   file that the results go to

const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const lib = require("../lib.js");

const PROMPT = "The borrow checker";
const LONG = 448;
const ALONE = 5;
const TOGETHER = 8;
const SHORT = 32;
const CROWD = 100;
const SLOT_S = 2;
// A little more than a slot, so that submissions fall anywhere in one.
const EVERY_S = 2.1;
const PALLETS = ["jobs", "models", "providers", "slashing", "staking", "verification"];

const sorted = (values) => [...values].sort((a, b) => a - b);
// Nearest rank.
const quantile = (values, q) => sorted(values)[Math.max(0, Math.ceil(q * values.length) - 1)];
const median = (values) => quantile(values, 0.5);

// Decoding speed of the engine in one process, with as many threads as a worker takes, in tokens/s.
function aloneSpeed() {
  const threads = Math.max(1, os.cpus().length - 1);
  const args = ["generate", "--prompt", PROMPT, "--max-new-tokens", `${LONG}`, "--threads", `${threads}`];
  // The text goes to standard output, the figures to standard error.
  const out = execFileSync("sh", ["-c", '"$0" "$@" 2>&1 >/dev/null', process.env.ASSAY_ENGINE, ...args], { encoding: "utf8" });
  return Number(out.match(/new tokens, ([\d.]+)\/s/)[1]);
}

// Follows a job's stream to its settlement. Times are in seconds since `begun`.
function follow(net, begun, job) {
  const now = () => (performance.now() - begun) / 1000;
  const tokens = [];
  let headAtLast;
  return new Promise((resolve, reject) => {
    net.provider
      .subscribe("inference_job", "inference_subscribeJob", [job], (error, frame) => {
        if (error) reject(error);
        else if (frame.event === "token") {
          tokens.push(now());
          headAtLast = net.head;
        } else if (frame.event === "refunded") reject(new Error(`refunded: ${frame.reason}`));
        else if (frame.event === "settled") resolve({ tokens, headAtLast });
      })
      .catch(reject);
  });
}

// Tokens/s of a stream. What had gathered before the subscription comes in a burst, which says nothing.
function streamSpeed(tokens) {
  const live = tokens.filter((t) => t > tokens[0] + 0.05);
  return (live.length - 1) / (live[live.length - 1] - live[0]);
}

async function ask(net, spec, nonce = -1) {
  const begun = performance.now();
  const { job } = await lib.submit(net, lib.account("Eve"), spec, nonce);
  const included = net.head;
  const inclusion = (performance.now() - begun) / 1000;
  const stream = await follow(net, begun, job);
  // The stream may be ahead of the record of the blocks.
  let settled;
  await lib.until(`the block that settled ${job} is recorded`, () => {
    [settled] = net.log.blocksOf(net.api.events.jobs.Settled, (e) => e.data.receipt.job.toHex() === job);
    return settled !== undefined;
  });
  return { job, included, inclusion, settled, ...stream };
}

const weightOf = async ({ api }, number) => {
  const at = await api.at(await api.rpc.chain.getBlockHash(number));
  const { normal, operational, mandatory } = await at.query.system.blockWeight();
  return [normal, operational, mandatory].reduce((sum, w) => sum + Number(w.refTime), 0);
};

// Bytes of keys and values of our pallets' state.
async function stateBytes({ api, provider }) {
  const pallets = PALLETS.map((name) => Object.values(api.query[name])[0].keyPrefix().slice(0, 2 + 32));
  let bytes = 0;
  for (const prefix of pallets) {
    for (let from = prefix; ; ) {
      const keys = await provider.send("state_getKeysPaged", [prefix, 500, from]);
      if (keys.length === 0) break;
      const [{ changes }] = await provider.send("state_queryStorageAt", [keys]);
      for (const [key, value] of changes) bytes += (key.length - 2) / 2 + (value.length - 2) / 2;
      from = keys[keys.length - 1];
    }
  }
  return bytes;
}

async function run(node, networkInfo) {
  const net = await lib.connect(networkInfo, node);
  net.log = await lib.record(net.api);
  net.head = 0;
  const stop = await net.api.rpc.chain.subscribeNewHeads((head) => (net.head = head.number.toNumber()));
  const report = [];
  const say = (line) => report.push(line);

  const first = net.head || (await net.api.rpc.chain.getHeader()).number.toNumber();
  await lib.until("some idle blocks", () => net.head >= first + 4);
  const idle = median(await Promise.all([1, 2, 3, 4].map((i) => weightOf(net, first + i))));
  const before = await stateBytes(net);

  // One job at a time, in turn with one process.
  const long = await lib.specification(net, PROMPT, { maxNewTokens: LONG });
  const speeds = { one: [], two: [] };
  const weights = [];
  for (let i = 0; i < ALONE; i++) {
    speeds.one.push(aloneSpeed());
    const job = await ask(net, long);
    speeds.two.push(streamSpeed(job.tokens));
    let weight = 0;
    for (let n = job.included; n <= job.settled; n++) weight += (await weightOf(net, n)) - idle;
    weights.push(weight / 1e9);
  }
  const [one, two] = [median(speeds.one), median(speeds.two)];
  const range = (values) => `${sorted(values)[0].toFixed(0)} to ${sorted(values)[values.length - 1].toFixed(0)}`;
  say(`decode of ${LONG} tokens, medians of ${ALONE} in turn (range), on ${os.cpus().length} cores:`);
  say(`  one process               ${one.toFixed(0)} tokens/s (${range(speeds.one)})`);
  say(`  two stages, two validators ${two.toFixed(0)} tokens/s (${range(speeds.two)}), ${(two / one).toFixed(2)}x`);

  // Several at once: their decoding steps are computed together. The time is that of the slowest stream.
  let nonce = (await net.api.rpc.system.accountNextIndex(lib.address("Eve"))).toNumber();
  const together = await Promise.all(Array.from({ length: TOGETHER }, () => ask(net, long, nonce++)));
  const from = Math.min(...together.map((j) => j.tokens[0]));
  const to = Math.max(...together.map((j) => j.tokens[j.tokens.length - 1]));
  const all = (TOGETHER * LONG) / (to - from);
  say(`  ${TOGETHER} such jobs at once       ${all.toFixed(0)} tokens/s together, ${(all / two).toFixed(2)}x of one`);

  // One job for each block.
  const short = await lib.specification(net, PROMPT, { maxNewTokens: SHORT });
  const jobs = [];
  for (let i = 0; i < CROWD; i++) {
    jobs.push(ask(net, short, nonce++));
    await new Promise((resolve) => setTimeout(resolve, EVERY_S * 1000));
  }
  const crowd = await Promise.all(jobs);
  const starts = crowd.map((j) => j.tokens[0]);
  const waits = crowd.map((j) => j.inclusion);
  const prefills = crowd.map((j) => j.tokens[0] - j.inclusion);
  const verdicts = crowd.map((j) => j.settled - j.headAtLast);
  say(`${CROWD} jobs of ${SHORT} tokens, one for each block, k = 3, two stages:`);
  say(`  submission to first token  median ${median(starts).toFixed(2)} s, p99 ${quantile(starts, 0.99).toFixed(2)} s`);
  say(`    of it until its block    median ${median(waits).toFixed(2)} s, p99 ${quantile(waits, 0.99).toFixed(2)} s`);
  say(`    from there on            median ${median(prefills).toFixed(2)} s, p99 ${quantile(prefills, 0.99).toFixed(2)} s`);
  say(`  last token to settlement   median ${median(verdicts)} blocks, p99 ${quantile(verdicts, 0.99)} blocks`);

  await lib.nothingLeft(net);
  const left = ((await stateBytes(net)) - before) / (ALONE + TOGETHER + CROWD);
  const limit = Number(net.api.consts.system.blockWeights.maxBlock.refTime) / 1e9;
  const weight = median(weights);
  say(`one job on the chain, k = 3, two stages:`);
  say(`  weight                     ${weight.toFixed(2)} ms, all blocks from submission to settlement, less idle ones`);
  say(`  state after settlement     ${left.toFixed(0)} bytes, until its receipt leaves the ring of ${net.api.consts.jobs.maxReceipts}`);
  say(`  jobs that a block holds    ${((limit - idle / 1e9) / weight).toFixed(0)}, ${((limit - idle / 1e9) / weight / SLOT_S).toFixed(0)} per second`);

  fs.writeFileSync(process.env.ASSAY_REPORT, `${report.join("\n")}\n`);
  stop();
  net.log.stop();
  await net.api.disconnect();
  return 0;
}

module.exports = { run };
