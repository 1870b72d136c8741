// What a dApp does, with @polkadot/api and nothing of ours: submits a job, streams the answer, waits for the receipt; then
// decodes every extrinsic and every event of the chain so far, without a custom types bundle.
//
// usage: node ecosystem/dapp.mjs ws://127.0.0.1:9944 ["a prompt"]
import assert from "node:assert/strict";
import { ApiPromise, Keyring, WsProvider } from "@polkadot/api";

const [url = "ws://127.0.0.1:9944", prompt = "A dApp asks: what is a trait"] = process.argv.slice(2);
const provider = new WsProvider(url);
const api = await ApiPromise.create({ provider, noInitWarn: false });

// 1. The model and its tokens, by the runtime API and by the node's RPC.
const models = await api.call.inferenceApi.models();
const demo = models.find((m) => m.name.toUtf8() === "demo");
assert(demo, "the chain has a model named demo");
const ids = await provider.send("inference_tokenize", [demo.id.toHex(), prompt]);
assert(ids.length > 0);

// 2. The job, signed by an ordinary account.
const client = new Keyring({ type: "sr25519" }).addFromUri("//Ferdie");
const params = await api.call.inferenceApi.params();
const call = api.tx.jobs.submit({
  model: demo.id,
  template: 0,
  input: { Inline: ids },
  task: {
    Generate: { maxNewTokens: 16, sampling: { temperature: 0, topK: 0, topP: 65536, seed: "0x" + "00".repeat(32) } },
  },
  mode: { Quorum: { k: 3 } },
  maxPrice: params.basePrice,
  insured: 0,
  extraTicks: 0,
});
const job = await new Promise((resolve, reject) => {
  call
    .signAndSend(client, ({ status, events, dispatchError }) => {
      if (dispatchError) {
        const error = dispatchError.isModule ? api.registry.findMetaError(dispatchError.asModule) : dispatchError;
        reject(new Error(`${error.section}.${error.name}: ${error.docs}`));
      } else if (status.isInBlock) {
        const { event } = events.find(({ event }) => api.events.jobs.Submitted.is(event));
        resolve(event.data[0].toHex());
      }
    })
    .catch(reject);
});
console.log(`job ${job}`);

// 3. The stream, to its end.
let text = "";
await new Promise((resolve, reject) => {
  provider
    .subscribe("inference_job", "inference_subscribeJob", [job], (error, frame) => {
      if (error) return reject(error);
      if (frame.event === "token") text += frame.text;
      // An attempt failed, and others begin anew: what was streamed was never verified.
      if (frame.event === "restarted") text = "";
      if (frame.event === "settled") resolve();
      if (frame.event === "refunded") reject(new Error(`refunded: ${frame.reason}`));
    })
    .catch(reject);
});
const receipt = (await api.call.inferenceApi.receipt(job)).unwrap();
const output = receipt.output.asIds;
assert.equal(output.length > 0, true);
assert.equal(receipt.assurance.k.toNumber(), 3);
const verified = await provider.send("inference_detokenize", [demo.id.toHex(), output.map((id) => id.toNumber())]);
assert.equal(verified, text, "the stream is what was verified");
console.log(`answer ${JSON.stringify(verified)}`);

// 4. The whole chain so far, decoded: every extrinsic re-encodes to its own bytes, every event has a name.
const head = (await api.rpc.chain.getHeader()).number.toNumber();
const seen = new Map();
for (let n = 1; n <= head; n++) {
  const hash = await api.rpc.chain.getBlockHash(n);
  const { block } = await api.rpc.chain.getBlock(hash);
  const raw = await provider.send("chain_getBlock", [hash.toHex()]);
  block.extrinsics.forEach((extrinsic, i) => {
    assert.equal(extrinsic.toHex(), raw.block.extrinsics[i], `extrinsic ${i} of block ${n} decodes to other bytes`);
    const name = `${extrinsic.method.section}.${extrinsic.method.method}`;
    seen.set(name, (seen.get(name) ?? 0) + 1);
  });
  for (const { event } of await (await api.at(hash)).query.system.events()) {
    assert(event.section && event.method && event.meta, `an event of block ${n} has no name`);
    event.toHuman();
    const name = `${event.section}::${event.method}`;
    seen.set(name, (seen.get(name) ?? 0) + 1);
  }
}
for (const [name, count] of [...seen].sort()) console.log(`  ${name}  ${count}`);
for (const name of ["jobs.submit", "verification.answer", "jobs::Settled"]) {
  assert(seen.has(name), `${name} was seen`);
}
console.log(`decoded ${head} blocks`);
await api.disconnect();
