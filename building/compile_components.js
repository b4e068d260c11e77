// Runs ipyvue's own compiler of `.vue` files outside of a page (compile_components.py).
// Its files are chunks of webpack. Of that we need little: a table of modules, and `require`, which loads the chunk that
// is called after a module. What no chunk has is the importer of ipyvue: in its place stands one that keeps the code.
function prepareCompiler(chunks) {
  const modules = {}, loaded = {}, kept = {}
  globalThis.webpackChunkjupyter_vue = { push: ([, more]) => Object.assign(modules, more) }
  const importer = new Proxy({}, { get: () => async (code, name) => { if (name) kept[name] = code; return { default: {} } } })
  const load = prefix => {
    const name = Object.keys(chunks).find(chunk => chunk.startsWith(prefix))
    if (name) (0, eval)(chunks[name])
    return Boolean(name)
  }
  function require(id) {
    if (loaded[id]) return loaded[id].exports
    if (!modules[id] && !load(id + '.')) return importer
    const module = loaded[id] = { exports: {} }
    modules[id].call(module.exports, module, module.exports, require)
    return module.exports
  }
  const getter = (exports, name, get) => Object.defineProperty(exports, name, { enumerable: true, get })
  Object.assign(require, {
    g: globalThis,
    r() {},
    o: (object, name) => Object.hasOwn(object, name),
    n: module => () => module,
    d(exports, all) { // either { name: getter } or [name, getter, name, 0, value, …]
      if (!Array.isArray(all)) { for (const name in all) getter(exports, name, all[name]) } else {
        for (let i = 0; i < all.length;) {
          const name = all[i++], get = all[i++]
          if (get === 0) exports[name] = all[i++]; else getter(exports, name, get)
        }
      }
    },
  })
  load('vue-sfc.')
  const { compileSfc } = require(Object.keys(modules).find(id => String(modules[id]).includes('compileSfc')))
  return { compileSfc, kept }
}

// All that the compiler wants of a document: a place for the style of the component.
const styles = []
globalThis.document = {
  getElementById: () => null,
  querySelectorAll: () => [],
  createElement: () => ({ dataset: {} }),
  head: { appendChild: element => styles.push(element) },
}

async function compileComponents(chunks, sources) {
  const { compileSfc, kept } = prepareCompiler(chunks), made = {}
  for (const [name, source] of Object.entries(sources)) {
    styles.length = 0
    await compileSfc(source, {}, { filename: name })
    const style = styles.map(element => element.innerHTML).join('\n')
    made[name] = { script: kept[name + '?script'], template: kept[name + '?template'], style }
  }
  return JSON.stringify(made)
}
