// How many files the list shows, one message announces, and are on their way together.
const MOST_SHOWN = 100, MOST_ANNOUNCED = 500, MOST_FLIGHTS = 8
// How often progress is shown: painting it takes the processor from the sending where there is no graphics card.
const SHOWN_EVERY_MS = 250

// A file straight to the bucket, in parts, several at a time: each is hashed (files.md5.js), and sent unless the bucket has
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
    this.hashing = []
    this.done = 0
    this.underway = new Map()
    this.requests = new Set()
    this.outcome = ''
  }
  // 'done', 'refused': the bucket takes nothing from a page, or the page cannot hash, 'lost': it did before, or 'stopped';
  // throws if the file cannot be read any more
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
    const part = this.part(number), digest = this.digests[number - 1] = await this.digest(number)
    if (!digest) return this.stop('refused')
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
  part(number) { return this.file.slice((number - 1) * this.step, Math.min(number * this.step, this.file.size)) }
  // the next parts are hashed while this one is sent
  digest(number) {
    for (let ahead = number; ahead <= Math.min(number + LANES, this.count); ahead++) {
      if (this.hashing[ahead]) continue
      this.hashing[ahead] = md5(this.part(ahead))
      this.hashing[ahead].catch(() => {})  // reported when this part is to be sent
    }
    return this.hashing[number]
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
