# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# node: JSON, regular expressions, buffers, compression, worker threads and a child process.

programs=(node)

workload() {
    cat >work.js <<'JS'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const zlib = require('zlib');
const crypto = require('crypto');
const { execFileSync } = require('child_process');

function work(seed) {
  const data = {};
  for (let i = 0; i < 20000; i++) {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 1;
    (data['k' + (seed % 997)] ||= []).push({ i, s: 'v' + seed });
  }
  const text = JSON.stringify(data);
  const hits = text.match(/"v\d*77"/g) || [];
  const packed = zlib.gzipSync(Buffer.from(text));
  const same = zlib.gunzipSync(packed).toString() === text;
  return [same, hits.length, crypto.createHash('sha256').update(text).digest('hex')];
}
if (isMainThread) {
  const results = [];
  let open = 4;
  for (let i = 0; i < 4; i++) {
    const worker = new Worker(__filename, { workerData: i + 1 });
    worker.on('message', (m) => (results[i] = m));
    worker.on('exit', () => {
      if (--open) return;
      for (const r of results) console.log(...r);
      const buffers = [];
      for (let n = 0; n < 2000; n++) buffers.push(Buffer.alloc((n * 977) % 20000, n & 255));
      console.log(crypto.createHash('sha1').update(Buffer.concat(buffers)).digest('hex'));
      console.log(execFileSync(process.execPath, ['-p', '[1,2,3].map(x => x * x).join()']).toString());
    });
  }
} else {
  parentPort.postMessage(work(workerData));
}
JS
    node work.js
}
