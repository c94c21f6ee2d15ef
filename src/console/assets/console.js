// Keeps the page in step with the store. The server renders; this puts what has changed in its place.
import { morphChildren } from './morph.js'
import { localise } from './times.js'

const live = document.querySelector('#live')
const say = document.querySelector('#say')
const clock = document.querySelector('.clock time')

// What somebody is reading stays where it is when things come in above it.
function keepPlace(change) {
  const places = [document.scrollingElement, ...document.querySelectorAll('[data-scroll]')]
    .filter((scroller) => scroller.scrollTop > 0)
    .map((scroller) => {
      const edge = scroller === document.scrollingElement ? 0 : scroller.getBoundingClientRect().top
      const anchor = [...scroller.querySelectorAll('[data-key]')]
        .find((node) => node.getBoundingClientRect().bottom > edge)
      return { scroller, anchor, top: anchor?.getBoundingClientRect().top }
    })
  change()
  // Inner lists last: the window has moved them by then.
  for (const { scroller, anchor, top } of places.reverse())
    if (anchor?.isConnected)
      scroller.scrollBy({ top: anchor.getBoundingClientRect().top - top, behavior: 'instant' })
}

function show(name, html) {
  const section = document.getElementById(name)
  const template = document.createElement('template')
  template.innerHTML = html // rendered and escaped by our own server
  localise(template.content)
  keepPlace(() => morphChildren(section, template.content))
  const tiles = section.querySelector('[data-now]')
  if (!tiles) return
  document.title = tiles.dataset.title
  clock.dateTime = tiles.dataset.now
  localise(clock.parentNode)
}

function state(now, text) {
  if (live.dataset.state === now) return
  if (live.dataset.state !== 'off') say.textContent = text
  live.dataset.state = now
  live.querySelector('span').textContent = text
  document.body.classList.toggle('stale', now === 'lost')
}

let wait = 2000
function connect() {
  const source = new EventSource('/events')
  source.addEventListener('hello', ({ data }) => {
    if (data !== document.documentElement.dataset.build) return location.reload()
    wait = 2000
    state('live', 'Live')
  })
  for (const name of ['sessions', 'summary', 'receipts', 'events', 'nodes'])
    source.addEventListener(name, ({ data }) => show(name, data))
  source.addEventListener('error', () => {
    state('lost', 'Connection lost, trying again')
    if (source.readyState !== EventSource.CLOSED) return // the browser tries again by itself
    setTimeout(connect, wait)
    wait = Math.min(wait * 2, 30000)
  })
  addEventListener('pagehide', () => source.close(), { once: true })
}

document.addEventListener('animationend', ({ target, animationName }) => {
  if (animationName === 'fresh') target.removeAttribute('data-fresh')
})
addEventListener('pageshow', ({ persisted }) => persisted && connect())
localise(document)
connect()
