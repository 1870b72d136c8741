// What the scenarios share: jobs as a dApp submits them, and the events of every block in between.

const assert = require("node:assert");
const { execFile } = require("node:child_process");
const { promisify } = require("node:util");
const { ApiPromise, Keyring, WsProvider } = require("@polkadot/api");

const STAGES = [
  [0, 4],
  [4, 8],
];
const keyring = new Keyring({ type: "sr25519" });
const account = (name) => keyring.addFromUri(`//${name}`);
const address = (name) => account(name).address;
const VALIDATORS = ["Alice", "Bob", "Charlie", "Dave"];
const nameOf = (id) => VALIDATORS.find((name) => address(name) === id.toString()) ?? id.toString();

async function connect(networkInfo, node) {
  const provider = new WsProvider(networkInfo.nodesByName[node].wsUri);
  const api = await ApiPromise.create({ provider, noInitWarn: true });
  // Workers find each other by the peer ids that they announce on chain.
  await until("every worker has announced its peer", async () => {
    const providers = await api.call.inferenceApi.providers();
    return providers.length === VALIDATORS.length && providers.every((p) => p.peer.length > 0);
  });
  const model = (await api.call.inferenceApi.models()).find((m) => m.name.toUtf8() === "demo");
  assert(model, "the chain has a model named demo");
  return { api, provider, model };
}

async function until(what, condition, seconds = 90) {
  for (let i = 0; i < seconds; i++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  assert.fail(`not within ${seconds} s: ${what}`);
}

const GREEDY = { temperature: 0, topK: 0, topP: 65536, seed: `0x${"00".repeat(32)}` };

async function specification({ api, provider, model }, prompt, changes = {}) {
  const { maxNewTokens = 12, sampling = GREEDY, ...rest } = changes;
  const { basePrice } = await api.call.inferenceApi.params();
  return {
    model: model.id,
    template: 0,
    input: { Inline: await provider.send("inference_tokenize", [model.id.toHex(), prompt]) },
    task: { Generate: { maxNewTokens, sampling } },
    mode: { Quorum: { k: 3 } },
    maxPrice: basePrice,
    insured: 0,
    extraTicks: 20,
    ...rest,
  };
}

// Signs, waits for a block, and returns its events; throws with the pallet's own explanation.
function send(api, call, signer, nonce = -1) {
  return new Promise((resolve, reject) => {
    call
      .signAndSend(signer, { nonce }, ({ status, events, dispatchError, isError }) => {
        if (dispatchError) {
          const e = dispatchError.isModule ? api.registry.findMetaError(dispatchError.asModule) : dispatchError;
          reject(new Error(`${e.section}.${e.name}: ${e.docs}`));
        } else if (isError) {
          reject(new Error(`the pool says ${status.type}`));
        } else if (status.isInBlock) {
          resolve(events.map(({ event }) => event));
        }
      })
      .catch(reject);
  });
}

async function submit({ api }, signer, spec, nonce = -1) {
  const events = await send(api, api.tx.jobs.submit(spec), signer, nonce);
  const event = events.find((e) => api.events.jobs.Submitted.is(e));
  const assigned = events.find((e) => api.events.jobs.Assigned.is(e));
  return { job: event.data.job.toHex(), escrow: event.data.escrow.toBigInt(), assigned: assigned.data };
}

// Collects the events of every best block, in order, from now on. A block that is replaced is read again in its new form.
async function record(api) {
  const blocks = new Map();
  const stop = await api.rpc.chain.subscribeNewHeads(async (head) => {
    const events = await (await api.at(head.hash)).query.system.events();
    blocks.set(head.number.toNumber(), events.map(({ event }) => event));
  });
  const all = () => [...blocks.entries()].sort(([a], [b]) => a - b).flatMap(([, events]) => events);
  return {
    stop,
    all,
    of: (kind) => all().filter((event) => kind.is(event)),
    // Numbers of the blocks with such an event.
    blocksOf: (kind, wanted) =>
      [...blocks].filter(([, events]) => events.some((e) => kind.is(e) && wanted(e))).map(([number]) => number),
  };
}

// Waits until a job is over; returns its receipt, or throws with the reason of the refund.
async function receiptOf({ api }, log, job, seconds = 180) {
  let receipt;
  await until(
    `job ${job} is over`,
    async () => {
      const refund = log.of(api.events.jobs.Refunded).find((e) => e.data.job.toHex() === job);
      assert(!refund, `job ${job} was refunded: ${refund?.data.reason}`);
      receipt = (await api.call.inferenceApi.receipt(job)).unwrapOr(undefined);
      return receipt !== undefined;
    },
    seconds,
  );
  return receipt;
}

// Who asks less executes: the executors of these stages become `cheap`, in any order.
async function makeCheapest({ api, model }, cheap, stages = STAGES) {
  for (const name of cheap) {
    const signer = account(name);
    for (const [first, end] of stages) {
      const key = { model: model.id, span: { first, end } };
      const view = (await api.call.inferenceApi.providers()).find((p) => p.controller.eq(signer.address));
      const old = view.asks.find((a) => a.key.span.first.eq(first) && a.key.span.end.eq(end)).ask;
      await send(api, api.tx.providers.ask(key, { ...old.toJSON(), price: 1 }), signer);
    }
  }
  await until("the new asks are usable", async () =>
    (await api.call.inferenceApi.providers()).every((p) => p.asks.every((a) => a.usable.isTrue)),
  );
}

const bondOf = async ({ api }, name) =>
  (await api.call.inferenceApi.providers()).find((p) => p.controller.eq(address(name))).bond.toBigInt();

// `a` billionths of `amount`, rounded as the chain does it: up for what must never be free, else to the nearest, halves down.
const PERBILL = 1_000_000_000n;
const shareUp = (a, amount) => (a.toBigInt() * amount + PERBILL - 1n) / PERBILL;
const share = (a, amount) => (a.toBigInt() * amount + PERBILL / 2n - 1n) / PERBILL;
const smaller = (a, b) => (a < b ? a : b);

// What the protocol's section 7 takes for the faults of one job, from its specification and assignment.
async function penalties({ api }, spec, assigned) {
  const params = await api.call.inferenceApi.params();
  const work = (await api.call.inferenceApi.quote(spec)).unwrap().stages.map((s) => s.work.toBigInt());
  const price = assigned.stages.map((s) => s.price.toBigInt());
  const fee = (stage) => share(params.checkRatio, params.basePrice.toBigInt() * work[stage]);
  const liveness = (pay) => smaller(shareUp(params.livenessShare, pay), params.livenessCap.toBigInt());
  const byVotes = (backing, bond) => smaller(backing, share(params.voteSlashCap, bond));
  return {
    silentExecutor: (stage) => liveness(price[stage] * work[stage]),
    silentChecker: (stage) => liveness(fee(stage)),
    wrongResult: (stage, bond) => byVotes(assigned.stages[stage].backing.toBigInt(), bond),
    // A checker backs twice what an escalation costs: a check fee for each elector.
    falseDissent: (stage, electors, bond) => byVotes(2n * fee(stage) * BigInt(electors), bond),
  };
}

// After the last job nothing stays behind: no open job, no escrow, no reservation, no seat, no slot.
async function nothingLeft({ api }) {
  await until("all jobs are gone", async () => (await api.query.jobs.openJobs()).isZero());
  for (const [, holds] of await api.query.balances.holds.entries()) {
    assert(!holds.some((h) => h.id.isJobs), "no escrow is held");
  }
  for (const p of await api.call.inferenceApi.providers()) {
    assert.strictEqual(p.free.toBigInt(), p.bond.toBigInt(), `${nameOf(p.controller)} has nothing reserved`);
    assert(p.asks.every((a) => a.executing.isZero() && a.checking.isZero()), `${nameOf(p.controller)} is idle`);
  }
}

// The command lines, as a user types them. ASSAY_MODEL is the package that every node holds.
function commands(wsUri) {
  const { ASSAY_CLI, ASSAY_ENGINE, ASSAY_MODEL } = process.env;
  const lines = async (program, args) => {
    const { stdout } = await promisify(execFile)(program, args, { maxBuffer: 1 << 24 });
    return stdout.trim().split("\n").map((line) => JSON.parse(line));
  };
  const assay = (...args) => lines(ASSAY_CLI, ["--url", wsUri, "--json", ...args]);
  const publish = (name, stages) => {
    const template = stages.map(([first, end]) => `${first}..${end}`).join(",");
    return assay("publish", ASSAY_MODEL, "--name", name, "--template", template, "--suri", "//Eve");
  };
  return {
    assay,
    publish,
    engine: async (...args) => (await lines(ASSAY_ENGINE, [...args, "--json"]))[0],
    // The command fails, and says why.
    refused: async (why, command) => {
      const error = await command.then(() => assert.fail(`was taken; expected ${why}`), (e) => e);
      assert(`${error.stdout}${error.stderr}`.includes(why), `${error.stdout}${error.stderr}`);
    },
    // All validators ask for all stages, the first for the least.
    offer: async ({ api }, model, stages) => {
      await Promise.all(
        VALIDATORS.map(async (name, i) => {
          for (const [first, end] of stages) {
            await assay("ask", `${first}..${end}`, "--model", model, "--price", `${i + 1}u`, "--suri", `//${name}`);
          }
        }),
      );
      await until("the asks are usable", async () =>
        (await api.call.inferenceApi.providers()).every((p) => p.asks.every((a) => a.usable.isTrue)),
      );
    },
  };
}

module.exports = {
  STAGES, VALIDATORS, account, address, nameOf, connect, until, specification, send, submit, record, receiptOf, makeCheapest, bondOf,
  penalties, nothingLeft, commands,
};
