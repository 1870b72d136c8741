// Runs the dApp's program against the network, as a process of its own: it shares nothing with these tests but the library.

const assert = require("node:assert");
const { spawn } = require("node:child_process");
const path = require("node:path");

async function run(node, networkInfo) {
  const program = path.join(__dirname, "ecosystem", "dapp.mjs");
  const child = spawn(process.execPath, [program, networkInfo.nodesByName[node].wsUri], { stdio: "inherit" });
  const code = await new Promise((resolve, reject) => child.on("error", reject).on("exit", resolve));
  assert.strictEqual(code, 0, "the dApp's program ends well");
  return 0;
}

module.exports = { run };
