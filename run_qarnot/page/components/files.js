// How many files the list shows, one message announces, and are on their way together.
const MOST_SHOWN = 100, MOST_ANNOUNCED = 500, MOST_FLIGHTS = 8
// How often progress is shown: painting it takes the processor from the sending where there is no graphics card.
const SHOWN_EVERY_MS = 250

// A file straight to the bucket, in parts, several at a time: each is hashed in a worker, and sent unless the bucket has
// it already. Memory stays constant: the browser reads the parts from the disk as it hashes and sends them.
const LANES = 4, TRIES = 8, STALL_MS = 60e3, LONGEST_PAUSE_MS = 30e3

class DirectSending {
  // stored: MD5 of parts that have arrived, by number; address(number) asks for a presigned one; moved(bytes) is told the
  // progress; proven: whether this bucket has taken a part from this page before
  constructor({ file, step, stored, address, moved, proven }) {
    Object.assign(this, { file, step, stored, address, moved, proven })
    this.count = Math.ceil(file.size / step)
    this.next = 1
    this.digests = []
    this.done = 0
    this.underway = new Map()
    this.requests = new Set()
    this.outcome = ''
  }
  // 'done', 'refused': the bucket takes nothing from a page, 'lost': it did before, or 'stopped'; throws if the file
  // cannot be read any more
  async run() {
    try {
      if (!this.proven) await this.send(this.next++)  // one alone is enough to be refused
      await Promise.all(Array.from({ length: LANES }, () => this.lane()))
      return this.outcome || 'done'
    } finally {
      this.stop()
    }
  }
  stop(outcome = 'stopped') {
    this.outcome = this.outcome || outcome
    for (const request of this.requests) request.abort()
    this.rested && this.rested()
  }
  async lane() { while (!this.outcome && this.next <= this.count) await this.send(this.next++) }
  async send(number) {
    const start = (number - 1) * this.step, part = this.file.slice(start, Math.min(start + this.step, this.file.size))
    const digest = this.digests[number - 1] = await md5(part)
    for (let tries = 1; this.stored[number] !== digest && !this.outcome; tries++) {
      const address = await this.address(number)
      const status = address && !this.outcome ? await this.put(number, part, address) : 0
      if (status >= 200 && status < 300) {
        this.proven = true
        break
      }
      if (this.outcome) return
      if (!this.proven) return this.stop('refused')
      if (tries === TRIES) return this.stop('lost')
      await part.slice(0, 1).arrayBuffer()  // throws where it is the file's fault
      await this.rest(Math.min(1000 * 2 ** tries, LONGEST_PAUSE_MS))
    }
    if (this.outcome) return
    this.done += part.size
    this.tell()
  }
  put(number, part, address) {
    return new Promise(done => {
      const request = new XMLHttpRequest()  // `fetch` tells no progress of what it sends
      let stall
      const watch = () => { clearTimeout(stall); stall = setTimeout(() => request.abort(), STALL_MS) }
      request.upload.onprogress = event => { watch(); this.underway.set(number, event.loaded); this.tell() }
      request.onloadend = () => {
        clearTimeout(stall)
        this.requests.delete(request)
        this.underway.delete(number)
        done(request.status)
      }
      request.open('PUT', address)
      this.requests.add(request)
      watch()
      request.send(part)
    })
  }
  rest(ms) {
    return new Promise(done => {
      this.rested = done
      setTimeout(done, ms)
      window.addEventListener('online', done, { once: true })
    })
  }
  tell() { this.moved(this.done + Array.from(this.underway.values()).reduce((sum, bytes) => sum + bytes, 0)) }
}

// A file through the kernel: parts by their offset, a few on the way at a time; what is lost is sent again (uploads.py).
class KernelSending {
  // acked: how many bytes are there, as far as is known; part(offset, bytes) sends one; query() asks how many are there.
  // Both are answered by `have`.
  constructor({ file, acked, step, window, part, query }) { Object.assign(this, { file, acked, step, window, part, query }) }
  // 'done' or 'stopped'; throws if the file cannot be read any more
  async run() {
    if (this.acked) await this.ask()
    let sent = this.acked
    while (this.acked < this.file.size && !this.stopped) {
      if (sent < this.file.size && sent - this.acked < this.window * this.step) {
        const whole = !sent && this.file.size <= this.step
        const bytes = await (whole ? this.file : this.file.slice(sent, sent + this.step)).arrayBuffer()
        this.part(sent, bytes)
        sent += bytes.byteLength
      } else {
        const before = this.acked
        if (!(await this.answer(8000)) && this.acked === before) {
          await this.ask()
          sent = this.acked
        }
      }
    }
    return this.stopped ? 'stopped' : 'done'
  }
  // asked again and again, because the connection may be away
  async ask() { do this.query(); while (!(await this.answer(3000)) && !this.stopped) }
  answer(ms) {
    return new Promise(done => {
      const timer = setTimeout(() => done(false), ms)
      this.answered = () => { clearTimeout(timer); done(true) }
    })
  }
  have(bytes) { this.acked = bytes; this.answered && this.answered() }
  stop() { this.stopped = true; this.answered && this.answered() }
}

// The MD5 of a part, in hexadecimal: storages name parts by it, and no browser computes it by itself.
let hasher = null
const hashes = new Map()
function md5(blob) {
  if (!hasher) {
    hasher = new Worker(URL.createObjectURL(new Blob([writeHasher()], { type: 'text/javascript' })))
    hasher.onmessage = ({ data }) => {
      const { done, failed } = hashes.get(data.id)
      hashes.delete(data.id)
      data.digest ? done(data.digest) : failed(new Error(data.problem))
    }
  }
  return new Promise((done, failed) => {
    const id = md5.serial = (md5.serial || 0) + 1
    hashes.set(id, { done, failed })
    hasher.postMessage({ id, blob })
  })
}
// The worker's script: RFC 1321 with its 64 steps written out, which is several times faster than a loop.
function writeHasher() {
  const shifts = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]]
  const steps = Array.from({ length: 64 }, (_, i) => {
    const round = i >> 4, [a, b, c, d] = [0, 1, 2, 3].map(n => 'abcd'[(n - i % 4 + 4) % 4]), shift = shifts[round][i % 4]
    const mix = [`${d} ^ ${b} & (${c} ^ ${d})`, `${c} ^ ${d} & (${b} ^ ${c})`, `${b} ^ ${c} ^ ${d}`, `${c} ^ (${b} | ~${d})`][round]
    const word = [i, 5 * i + 1, 3 * i + 5, 7 * i][round] % 16, sine = Math.floor(Math.abs(Math.sin(i + 1)) * 2 ** 32) | 0
    // what waits for the step before it, which is `mix`, is added last: a third faster
    return `${a} = ${a} + words[at + ${word}] + (${sine}) + (${mix}) | 0; ${a} = (${a} << ${shift} | ${a} >>> ${32 - shift}) + ${b} | 0;`
  })
  return `
function mix(state, words) {
  let [A, B, C, D] = state
  for (let at = 0; at < words.length; at += 16) {
    let a = A, b = B, c = C, d = D
    ${steps.join('\n    ')}
    A = A + a | 0; B = B + b | 0; C = C + c | 0; D = D + d | 0
  }
  state.set([A, B, C, D])
}
function join(some, more) {
  const both = new Uint8Array(some.length + more.length)
  both.set(some)
  both.set(more, some.length)
  return both
}
async function digest(blob) {
  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476), pieces = blob.stream().getReader()
  let rest = new Uint8Array(0)
  for (let piece = await pieces.read(); !piece.done; piece = await pieces.read()) {
    const bytes = rest.length || piece.value.byteOffset % 4 ? join(rest, piece.value) : piece.value
    const whole = bytes.length - bytes.length % 64
    mix(state, new Int32Array(bytes.buffer, bytes.byteOffset, whole / 4))
    rest = bytes.slice(whole)
  }
  const last = join(rest, new Uint8Array((rest.length < 56 ? 64 : 128) - rest.length))
  last[rest.length] = 0x80
  new DataView(last.buffer).setBigUint64(last.length - 8, BigInt(blob.size) * 8n, true)
  mix(state, new Int32Array(last.buffer))
  return Array.from(new Uint8Array(state.buffer), byte => byte.toString(16).padStart(2, '0')).join('')
}
self.onmessage = async ({ data: { id, blob } }) => {
  try { self.postMessage({ id, digest: await digest(blob) }) } catch (error) { self.postMessage({ id, problem: String(error) }) }
}`
}
