// Charlie's node is killed while it executes a stage. The job is dispatched again and completes; Charlie pays the small liveness
// amount, and nobody else anything.

const assert = require("node:assert");
const { execFileSync } = require("node:child_process");
const lib = require("./lib.js");

// The process whose arguments name Charlie's folder in this very network: nobody else's.
function pidOf(networkInfo, name) {
  const mine = networkInfo.tmpDir;
  const lines = execFileSync("ps", ["-eo", "pid=,args="], { encoding: "utf8" }).split("\n");
  const line = lines.find((l) => l.includes(mine) && l.includes(`--name ${name}`) && l.includes("assay-node"));
  assert(line, `${name} runs`);
  return Number(line.trim().split(" ")[0]);
}

async function run(node, networkInfo) {
  const net = await lib.connect(networkInfo, node);
  const { api } = net;
  await lib.makeCheapest(net, ["Charlie"]);
  const log = await lib.record(api);
  const before = await lib.bondOf(net, "Charlie");

  const spec = await lib.specification(net, "The borrow checker", { maxNewTokens: 400, extraTicks: 0 });
  const { job, assigned } = await lib.submit(net, lib.account("Eve"), spec);
  assert(assigned.stages.some((s) => s.executor.eq(lib.address("Charlie"))), "Charlie executes a stage");
  const penalties = await lib.penalties(net, spec, assigned);
  process.kill(pidOf(networkInfo, "charlie"), "SIGKILL");

  const receipt = await lib.receiptOf(net, log, job, 300);
  assert(receipt.attempt.toNumber() >= 1, "another attempt succeeded");
  for (const s of receipt.stages) {
    const who = [s.executor, ...s.checkers.map(([c]) => c)].map(lib.nameOf);
    assert(!who.includes("Charlie"));
  }
  const offences = log.of(api.events.slashing.OffenceReported);
  assert(offences.length > 0 && offences.every((e) => lib.nameOf(e.data.key.offender) === "Charlie"));
  let lost = 0n;
  for (const { data } of offences) {
    const stage = data.key.at.stage.toNumber();
    const expected = data.key.role.isExecutor ? penalties.silentExecutor(stage) : penalties.silentChecker(stage);
    assert.strictEqual(data.amount.toBigInt(), expected, "a liveness amount");
    lost += expected;
  }
  assert(lost > 0n);
  assert.strictEqual(await lib.bondOf(net, "Charlie"), before - lost);
  await lib.nothingLeft(net);
  log.stop();
  await api.disconnect();
  return 0;
}

module.exports = { run };
