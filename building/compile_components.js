// Compiles `.vue` files in Vue's two steps, as its plugins for bundlers do: the script with what it names, then the template
// with calls of Vue's functions. `compiler` is Vue's compiler; compile_components.py provides it.
function compileComponents(sources) {
  return JSON.stringify(Object.fromEntries(Object.entries(sources).map(([name, source]) => [name, compileComponent(name, source)])))
}

function compileComponent(name, source) {
  const filename = name + '.vue', id = 'run-qarnot-' + name
  const { descriptor, errors } = compiler.parse(source, { filename })
  throwFirst(filename, errors)
  const script = compiler.compileScript(descriptor, { id })
  const template = compiler.compileTemplate({
    filename, id, source: descriptor.template.content, compilerOptions: { bindingMetadata: script.bindings },
  })
  throwFirst(filename, [...template.errors, ...template.tips])
  const styles = descriptor.styles.map(style => compiler.compileStyle({ filename, id, source: style.content }))
  throwFirst(filename, styles.flatMap(style => style.errors))
  return { script: script.content, template: template.code, style: styles.map(style => style.code).join('\n') }
}

function throwFirst(filename, [error]) {
  if (error) throw new Error(`${filename}: ${error.message || error}`)
}
