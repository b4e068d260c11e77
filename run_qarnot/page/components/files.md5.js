// MD5 of parts of a file, by hash-wasm (vendor/, as text in HASH_WASM): storages name parts by it, and browsers do not
// compute it themselves. Two workers, each with one part at a time: one alone is slower than a fast line.
const HASHERS = 2

// The MD5 of a blob, in hexadecimal; null where the browser has no WebAssembly or no workers, or the page's server forbids
// them. Throws if the blob cannot be read any more.
let hashers = null
const hashes = new Map()
function md5(blob) {
  hashers = hashers || Array.from({ length: HASHERS }, startHasher)
  return new Promise((done, failed) => {
    const id = md5.serial = (md5.serial || 0) + 1
    hashes.set(id, { done, failed })
    hashers[id % HASHERS].postMessage({ id, blob })
  })
}
function startHasher() {
  const worker = new Worker(URL.createObjectURL(new Blob([HASH_WASM, `;(${hashBlobs})()`], { type: 'text/javascript' })))
  worker.onmessage = ({ data: { id, digest, problem } }) => {
    const { done, failed } = hashes.get(id)
    hashes.delete(id)
    problem ? failed(new Error(problem)) : done(digest)
  }
  worker.onerror = event => {  // the worker did not start
    event.preventDefault()
    for (const { done } of hashes.values()) done(null)
    hashes.clear()
    hashers = null
  }
  return worker
}

// The worker: one blob after the other, because they share the hasher.
function hashBlobs() {
  const READ_BYTES = 2 << 20, made = self.hashwasm.createMD5().catch(() => null)
  let turn = Promise.resolve()
  async function digest(blob) {
    const hasher = await made
    if (!hasher) return null
    hasher.init()
    for (let at = 0; at < blob.size; at += READ_BYTES) hasher.update(new Uint8Array(await blob.slice(at, at + READ_BYTES).arrayBuffer()))
    return hasher.digest('hex')
  }
  self.onmessage = ({ data: { id, blob } }) => {
    turn = turn.then(async () => {
      try { self.postMessage({ id, digest: await digest(blob) }) } catch (error) { self.postMessage({ id, problem: String(error) }) }
    })
  }
}
