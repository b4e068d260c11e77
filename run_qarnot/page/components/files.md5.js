// MD5 of parts of a file: storages name parts by it, and no browser computes it by itself. In a worker, of up to four parts
// at once, by WebAssembly: it has what JavaScript lacks, one instruction for four numbers, and is four times faster.

// The MD5 of each blob, in hexadecimal; null where the browser has no such WebAssembly or no worker, or the page's server
// forbids it. Throws if a blob cannot be read any more.
let hasher = null
const hashes = new Map()
function md5(blobs) {
  hasher = hasher || startHasher()
  return new Promise((done, failed) => {
    const id = md5.serial = (md5.serial || 0) + 1
    hashes.set(id, { done, failed })
    hasher.postMessage({ id, blobs })
  })
}
function startHasher() {
  const script = `(${runHasher})(${writeMd5})`
  const worker = new Worker(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })))
  worker.onmessage = ({ data }) => {
    const { done, failed } = hashes.get(data.id)
    hashes.delete(data.id)
    data.problem ? failed(new Error(data.problem)) : done(data.digests)
  }
  worker.onerror = event => {  // it did not even begin
    event.preventDefault()
    for (const { done } of hashes.values()) done(null)
    hashes.clear()
    hasher = null
  }
  return worker
}

// The worker. Its memory: the state of four sums, word by word, then four lanes with a piece of each part.
function runHasher(writeMd5) {
  const PIECE = 2 << 20, LANE = PIECE + 128, STATE = 64, LANES = 4
  const memory = new WebAssembly.Memory({ initial: Math.ceil((STATE + LANES * LANE) / 65536) })
  const { mix } = new WebAssembly.Instance(new WebAssembly.Module(writeMd5(LANE)), { page: { memory } }).exports
  const bytes = new Uint8Array(memory.buffer), state = new Uint32Array(memory.buffer, 0, STATE / 4)
  const lane = number => STATE + number * LANE

  // of up to four blobs of one size: their pieces are read, and mixed, side by side
  async function digest(blobs, size) {
    state.set([0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476].flatMap(word => [word, word, word, word]))
    for (let at = 0; at <= size; at += PIECE) {
      const pieces = await Promise.all(blobs.map(blob => blob.slice(at, at + PIECE).arrayBuffer()))
      const length = Math.min(PIECE, size - at)
      pieces.forEach((piece, number) => bytes.set(new Uint8Array(piece), lane(number)))
      mix(STATE, STATE + (length < PIECE ? pad(length, size) : PIECE))
    }
    const hex = word => Array.from([0, 8, 16, 24], shift => (word >>> shift & 255).toString(16).padStart(2, '0')).join('')
    return blobs.map((_, number) => [0, 4, 8, 12].map(word => hex(state[word + number])).join(''))
  }
  // ends each lane as MD5 wants it; how long it is then
  function pad(length, size) {
    const padded = Math.ceil((length + 9) / 64) * 64
    for (let number = 0; number < LANES; number++) {
      const end = lane(number) + padded
      bytes.fill(0, lane(number) + length, end)
      bytes[lane(number) + length] = 0x80
      new DataView(memory.buffer).setBigUint64(end - 8, BigInt(size) * 8n, true)
    }
    return padded
  }
  async function all(blobs) {
    const digests = new Map()
    for (const size of new Set(blobs.map(blob => blob.size))) {
      const those = blobs.filter(blob => blob.size === size)
      const found = await digest(those, size)
      those.forEach((blob, number) => digests.set(blob, found[number]))
    }
    return blobs.map(blob => digests.get(blob))
  }
  let turn = Promise.resolve()  // one after the other: they share the memory
  self.onmessage = ({ data: { id, blobs } }) => {
    turn = turn.then(async () => {
      try { self.postMessage({ id, digests: await all(blobs) }) } catch (error) { self.postMessage({ id, problem: String(error) }) }
    })
  }
}

// A WebAssembly module whose function `mix(at, end)` takes the blocks of four lanes, of which the first begins at `at`, into
// the state at 0: RFC 1321 with its 64 steps written out, each for four lanes. Bytes of instructions: webassembly.github.io/spec
function writeMd5(lane) {
  const number = value => {  // LEB128
    const bytes = []
    for (; value > 127; value >>>= 7) bytes.push(value & 127 | 128)
    return [...bytes, value]
  }
  const each = (count, write) => Array.from({ length: count }, (_, index) => write(index)).flat()
  const get = local => [0x20, local], set = local => [0x21, local], keep = local => [0x22, local]
  const simd = (instruction, ...more) => [0xfd, ...number(instruction), ...more]
  const load = offset => simd(0, 4, ...number(offset)), store = offset => simd(11, 4, ...number(offset))
  const loadFirst = offset => simd(92, 2, ...number(offset)), loadLane = (offset, to) => simd(86, 2, ...number(offset), to)
  const select = simd(82), not = simd(77), or = simd(80), xor = simd(81), add = simd(174)
  const same = value => simd(12, ...new Uint8Array(Int32Array.of(value, value, value, value).buffer))
  const left = bits => [0x41, bits, ...simd(171)], right = bits => [0x41, bits, ...simd(173)]

  const [AT, END, STATE, BEFORE, WORDS] = [0, 1, 2, 6, 10]  // locals: two addresses, then a…d, the same before, and 16 words
  const shifts = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]]
  const step = index => {
    const round = index >> 4, [a, b, c, d] = [0, 1, 2, 3].map(letter => STATE + (letter - index % 4 + 4) % 4)
    const word = WORDS + [index, 5 * index + 1, 3 * index + 5, 7 * index][round] % 16, shift = shifts[round][index % 4]
    const sine = Math.floor(Math.abs(Math.sin(index + 1)) * 2 ** 32) | 0
    const mixed = [
      [get(c), get(d), get(b), select],
      [get(b), get(c), get(d), select],
      [get(b), get(c), xor, get(d), xor],
      [get(d), not, get(b), or, get(c), xor],
    ][round].flat()
    const sum = [get(a), get(word), add, same(sine), add, mixed, add, keep(a)]
    return [...sum, left(shift), get(a), right(32 - shift), or, get(b), add, set(a)].flat()
  }
  const wordOfLanes = word => [
    get(AT), loadFirst(4 * word), set(WORDS + word),
    ...each(3, n => [get(AT), get(WORDS + word), loadLane((n + 1) * lane + 4 * word, n + 1), set(WORDS + word)]),
  ].flat()
  const body = [
    ...each(4, n => [[0x41, 0], load(16 * n), set(STATE + n)]),
    [0x03, 0x40],  // loop
    ...each(16, wordOfLanes),
    ...each(4, n => [get(STATE + n), set(BEFORE + n)]),
    ...each(64, step),
    ...each(4, n => [get(STATE + n), get(BEFORE + n), add, set(STATE + n)]),
    [...get(AT), 0x41, 0xc0, 0, 0x6a, ...keep(AT), ...get(END), 0x49, 0x0d, 0, 0x0b],  // at += 64; again if at < end
    ...each(4, n => [[0x41, 0], get(STATE + n), store(16 * n)]),
    0x0b,
  ].flat()
  const sized = bytes => [...number(bytes.length), ...bytes]
  const text = letters => sized(Array.from(letters, letter => letter.charCodeAt()))
  const section = (kind, ...bytes) => [kind, ...sized(bytes)]
  return Uint8Array.of(
    ...text('\0asm').slice(1), 1, 0, 0, 0,
    ...section(1, 1, 0x60, 2, 0x7f, 0x7f, 0),  // types: one, of a function that takes two integers
    ...section(2, 1, ...text('page'), ...text('memory'), 2, 0, 1),  // imports: a memory of at least one page
    ...section(3, 1, 0),  // functions: one, of the first type
    ...section(7, 1, ...text('mix'), 0, 0),  // exports: the first function
    ...section(10, 1, ...sized([1, 24, 0x7b, ...body])),  // code: 24 locals of 128 bits
  )
}
