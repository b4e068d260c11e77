// Put in front of every component's script: how errors are shown, and how numbers and times are written, in the language
// of the page.
import { h, resolveComponent } from 'vue'
const ProblemAlert = {
  props: ['problem'],
  emits: ['dismiss'],
  data() { return { copied: false } },
  watch: { problem() { this.copied = false } },
  render() {
    const content = () => [this.problem && this.say(this.problem), this.$slots.default && this.$slots.default()]
    return h(resolveComponent('v-alert'), {
      type: 'error', variant: 'tonal', closable: !!this.problem, closeLabel: this.problem && this.problem.words.close,
      'onClick:close': () => this.$emit('dismiss'),
    }, content)
  },
  methods: {
    say({ what, todo, report, words }) {
      const copy = async () => { await copyText(report); this.copied = true }
      return [h('strong', what), ' ' + todo, h('details', [
        h('summary', words.details), h('pre', report),
        h('button', { type: 'button', class: 'rq-fold', 'data-testid': 'copy-report', onClick: copy }, this.copied ? words.copied : words.copy_report),
      ])]
    },
  },
}
// ipyvue lets a component hear the kernel when it is unmounted, too: a download began as often as its card had moved.
const HearsWhileMounted = {
  created() {
    for (const name of Object.keys(this.$options.methods).filter(name => name.startsWith('jupyter_'))) {
      const hear = this[name]
      this[name] = (...args) => this.$.isUnmounted ? undefined : hear(...args)
    }
  },
}
// `v-escape="close"` on a question or panel: Escape closes the one that was opened last, wherever the focus is; and when it
// is closed, by whatever means, the focus is not lost but goes back to where it came from.
const closesOnEscape = {
  mounted(el, { value }) { openPanels().push({ el, close: value, from: document.activeElement }) },
  updated(el, { value }) { openPanels().find(panel => panel.el === el).close = value },
  unmounted(el) {
    const panels = openPanels(), [{ from }] = panels.splice(panels.findIndex(panel => panel.el === el), 1)
    if (from && from.isConnected && [null, document.body].includes(document.activeElement)) from.focus()
  },
}
function openPanels() {
  if (window.rqPanels) return window.rqPanels
  window.addEventListener('keydown', event => {
    if (event.key !== 'Escape' || event.defaultPrevented || event.isComposing) return
    if (event.target.type === 'search' && event.target.value) return  // the browser empties it
    const last = window.rqPanels.filter(panel => panel.el.getClientRects().length).pop()  // not in a folded card
    if (last) last.close()
  })
  return window.rqPanels = []
}
// Who has something under way that would be lost if the page went now: the browser asks before it goes (index.html.j2).
function keepOpen(who, wanted) { if (window.rqUnderWay) window.rqUnderWay[wanted ? 'add' : 'delete'](who) }
// What the browser remembers from one visit to the next.
function kept(name) { try { return localStorage.getItem('rq-' + name) } catch (error) { return null } }
function keep(name, value) { try { localStorage.setItem('rq-' + name, value) } catch (error) { /* then until the next reload */ } }
function keptObject(name) { try { return JSON.parse(kept(name)) || {} } catch (error) { return {} } }
// Whether the launch link that was opened has a value for a field; its keys as in `links.read_link`.
function linkSays(name) {
  return Array.from(new URLSearchParams(location.search).keys(), key => key.toLowerCase().replace(/^(amp;)+/, '')).includes('opt-' + name)
}
function locale() {
  const language = document.documentElement.lang || 'en'
  return navigator.language.startsWith(language) ? navigator.language : language === 'en' ? 'en-GB' : language
}
function writeNumber(n, places) {
  return n.toLocaleString(locale(), { minimumFractionDigits: places, maximumFractionDigits: places })
}
function writeBytes(n) {
  const units = locale().startsWith('fr') ? ['o', 'ko', 'Mo', 'Go', 'To'] : ['B', 'kB', 'MB', 'GB', 'TB']
  let u = 0
  while (n >= 1000 && u < 4) { n /= 1000; u++ }
  return n.toLocaleString(locale(), { maximumFractionDigits: u && n < 10 ? 1 : 0 }) + ' ' + units[u]
}
function writeTime(iso, precision = 'medium') {
  const time = new Date(iso), today = time.toDateString() === new Date().toDateString()
  return time.toLocaleString(locale(), today ? { timeStyle: precision } : { dateStyle: 'medium', timeStyle: 'short' })
}
function writeDuration(ms, least = 1) {  // without seconds where `least` is 60
  const s = Math.max(0, Math.round(ms / 1000)), m = Math.floor(s / 60), h = Math.floor(m / 60)
  if (!h && least === 60 && m) return `${m} min`
  return h ? `${h} h ${m % 60} min` : m ? `${m} min ${s % 60} s` : `${s} s`
}
function writeAbout(seconds) {  // up to five minutes in half ones: nobody knows it better
  const minutes = seconds < 300 ? Math.max(0.5, Math.round(seconds / 30) / 2) : Math.round(seconds / 60)
  return minutes.toLocaleString(locale()) + ' min'
}
// A notification of the system, where the visitor has allowed it.
function notify(title, body) {
  try {
    if (Notification.permission !== 'granted') return
    const shown = new Notification(title, { body, tag: 'run-qarnot ' + title })
    shown.onclick = () => { window.focus(); shown.close() }
  } catch (error) { /* some phones have them for installed pages only */ }
}
async function copyText(text) {
  try { await navigator.clipboard.writeText(text) } catch (error) {
    const area = Object.assign(document.createElement('textarea'), { value: text })
    document.body.append(area); area.select(); document.execCommand('copy'); area.remove()
  }
}
// another address in this tab would be a farewell to our kernel, even if it becomes a download
function followLink(how) {
  const link = Object.assign(document.createElement('a'), how)
  document.body.append(link)
  link.click()
  link.remove()
}
function saveText(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: 'application/octet-stream' }))
  followLink({ href: address, download: name })
  setTimeout(() => URL.revokeObjectURL(address), 60000)
}
function isThisComputer(host) {
  return /^(localhost|127\..*|\[::1\])$/.test(host)
}
function guessSystem() {
  const name = (navigator.userAgentData && navigator.userAgentData.platform) || navigator.platform || ''
  return /^win/i.test(name) ? 'windows' : /mac/i.test(name) ? 'macos' : 'linux'
}
