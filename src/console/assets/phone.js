// The shopper's phone: its key, its entry code, and the cart as it fills. The key is made here and can't be read out again.
import { morphChildren } from './morph.js'
import { path } from './qr.js'
import { localise } from './times.js'

const STEP_S = 30
const body = document.body
const say = document.querySelector('#say')

localise(document)

// One record in a database of the browser's: { account, device, key }.
function database() {
  return new Promise((done, failed) => {
    const asked = indexedDB.open('stroll', 1)
    asked.onupgradeneeded = () => asked.result.createObjectStore('phone')
    asked.onsuccess = () => done(asked.result)
    asked.onerror = () => failed(asked.error)
  })
}
async function stored(mode, work) {
  const db = await database()
  return new Promise((done, failed) => {
    const asked = work(db.transaction('phone', mode).objectStore('phone'))
    asked.onsuccess = () => done(asked.result)
    asked.onerror = () => failed(asked.error)
  })
}

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')

const hmac = { name: 'HMAC', hash: 'SHA-256', length: 256 }

// Makes a key, shows it to the store once, and keeps it so that nobody reads it again.
async function register() {
  const made = await crypto.subtle.generateKey(hmac, true, ['sign'])
  const raw = new Uint8Array(await crypto.subtle.exportKey('raw', made))
  const answer = await fetch('/me/phone', {
    method: 'POST',
    headers: { 'stroll-form': body.dataset.form, 'content-type': 'text/plain' },
    body: base64url(raw),
  })
  if (!answer.ok) throw new Error(await answer.text())
  const device = (await answer.text()).trim()
  const key = await crypto.subtle.importKey('raw', raw, hmac, false, ['sign'])
  raw.fill(0)
  const phone = { account: body.dataset.account, device, key }
  await stored('readwrite', (store) => store.put(phone, 'mine'))
  return phone
}

// STROLL1.<device>.<step>.<MAC>: the MAC is over version, store and device, each after its length, and the step.
async function mint(phone, step) {
  const text = new TextEncoder()
  const number = (n) => {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, BigInt(n))
    return bytes
  }
  const parts = []
  for (const part of ['STROLL1', body.dataset.store, phone.device]) {
    const bytes = text.encode(part)
    parts.push(number(bytes.length), bytes)
  }
  parts.push(number(step))
  const message = await new Blob(parts).arrayBuffer()
  const mac = new Uint8Array(await crypto.subtle.sign('HMAC', phone.key, message))
  return `STROLL1.${phone.device}.${step}.${base64url(mac.slice(0, 16))}`
}

const frame = document.querySelector('#code')
function trouble(text) {
  frame.querySelector('.hint').textContent = text
  frame.dataset.state = 'trouble'
}

async function show(phone) {
  const now = Date.now() / 1000
  const step = Math.floor(now / STEP_S)
  if (frame.dataset.step !== String(step)) {
    const code = await mint(phone, step)
    const { drawn, size } = path(code)
    const svg = frame.querySelector('svg')
    svg.setAttribute('viewBox', `-4 -4 ${size + 8} ${size + 8}`)
    svg.querySelector('path').setAttribute('d', drawn)
    frame.dataset.step = step
    frame.dataset.code = code
    frame.dataset.state = 'ready'
    frame.querySelector('.hint').textContent = body.dataset.codeHold
  }
  frame.querySelector('progress').value = STEP_S - (now % STEP_S)
}

async function code() {
  if (!window.isSecureContext) return trouble(body.dataset.codeNeedsHttps)
  let phone = await stored('readonly', (store) => store.get('mine'))
  const known = (body.dataset.devices ?? '').split(' ')
  const is_mine = phone?.account === body.dataset.account && (!navigator.onLine || known.includes(phone.device))
  if (!is_mine) phone = await register()
  const again = () => show(phone).catch((error) => trouble(error.message))
  again()
  setInterval(again, 1000)
}

// The cart, each time that it has changed.
function follow(cart) {
  const source = new EventSource('/me/events')
  source.addEventListener('cart', ({ data }) => {
    const template = document.createElement('template')
    template.innerHTML = data // rendered and escaped by our own server
    localise(template.content)
    const before = cart.querySelector('[data-total]')?.textContent
    morphChildren(cart, template.content)
    const after = cart.querySelector('[data-total]')?.textContent
    if (after && after !== before) say.textContent = `${body.dataset.totalWord} ${after}`
    body.classList.remove('offline')
  })
  source.addEventListener('error', () => body.classList.add('offline'))
  addEventListener('pagehide', () => source.close(), { once: true })
}

const cart = document.querySelector('#cart')
// A phone that is new has to be known before its cart can be asked for.
const known = frame ? code().catch((error) => trouble(error.message || body.dataset.codeNoKeys)) : Promise.resolve()
known.then(() => cart && follow(cart))
addEventListener('online', () => body.classList.remove('offline'))
addEventListener('offline', () => body.classList.add('offline'))
if (!navigator.onLine) body.classList.add('offline')
if ('serviceWorker' in navigator) navigator.serviceWorker.register('/sw.js').catch(() => {})
