// What the pages beside the live one do by themselves: times in the reader's own zone, keys, and parts that follow the store.
import { morphChildren } from './morph.js'
import { localise } from './times.js'

localise(document)

// A key presses what carries it, unless somebody is writing.
document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return
  if (event.target.closest('input, select, textarea')) return
  const button = document.querySelector(`[data-hotkey="${CSS.escape(event.key)}"]:not(:disabled)`)
  if (!button) return
  event.preventDefault()
  button.click()
})

// What was sent is not sent twice.
document.addEventListener('submit', (event) => {
  const { target } = event
  if (target.dataset.sent) return event.preventDefault()
  if (target.method === 'post') target.dataset.sent = 'yes'
})
addEventListener('pageshow', () => {
  for (const form of document.querySelectorAll('form[data-sent]')) delete form.dataset.sent
})

async function fetched(address) {
  const answer = await fetch(address, { headers: { accept: 'text/html' } })
  if (!answer.ok || answer.redirected) throw new Error(answer.statusText)
  return new DOMParser().parseFromString(await answer.text(), 'text/html')
}

// A part that is asked for again and again while somebody looks.
for (const part of document.querySelectorAll('[data-poll]')) {
  const again = async () => {
    if (!document.hidden)
      try {
        morphChildren(part, (await fetched(part.dataset.poll)).body)
        part.classList.remove('stale')
      } catch {
        part.classList.add('stale')
      }
    setTimeout(again, 400)
  }
  setTimeout(again, 400)
}

// Parts of this page that are asked for again when the store says that a section has changed.
const followers = [...document.querySelectorAll('[data-follow]')]
if (followers.length) {
  const source = new EventSource('/events')
  let due = 0
  const refresh = async () => {
    try {
      const page = await fetched(location.href)
      const now = page.querySelectorAll('[data-follow]')
      localise(page)
      followers.forEach((part, index) => now[index] && morphChildren(part, now[index]))
    } finally {
      due = 0
    }
  }
  const sections = new Set(followers.flatMap((part) => part.dataset.follow.split(' ')))
  for (const section of sections) {
    let first = true // what the page already shows
    source.addEventListener(section, () => {
      if (!first && !due) due = setTimeout(refresh, 500)
      first = false
    })
  }
  // After a lost connection the browser asks again by itself, and gets every section anew.
  addEventListener('pagehide', () => source.close(), { once: true })
}
