// Keeps the shopper's page for when there is no network: the code is made on the phone and works without one.
const KEPT = 'stroll-BUILD'
const FILES = ['/assets/console.css?BUILD', '/assets/phone.js?BUILD', '/assets/morph.js', '/assets/qr.js', '/assets/times.js', '/assets/icon.svg?BUILD']

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(KEPT).then((kept) => kept.addAll(FILES)).then(() => self.skipWaiting()))
})
self.addEventListener('activate', (event) => {
  const old = caches.keys().then((all) => Promise.all(all.filter((name) => name !== KEPT).map((name) => caches.delete(name))))
  event.waitUntil(old.then(() => self.clients.claim()))
})
self.addEventListener('fetch', (event) => {
  const { request } = event
  const { pathname } = new URL(request.url)
  const kept = request.mode === 'navigate' ? pathname === '/me' || pathname.startsWith('/me/visits') : pathname.startsWith('/assets/')
  if (request.method !== 'GET' || !kept) return
  event.respondWith((async () => {
    const cache = await caches.open(KEPT)
    try {
      const answer = await fetch(request)
      if (answer.ok && !answer.redirected) await cache.put(request, answer.clone())
      return answer
    } catch (error) {
      const known = (await cache.match(request)) ?? (await cache.match(request, { ignoreSearch: true }))
      if (known) return known
      throw error
    }
  })())
})
