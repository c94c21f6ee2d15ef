// Clicks through the console as people would: node story.mjs ADDRESS SETUP-KEY FOLDER-FOR-PICTURES
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { strict as assert } from 'node:assert'
import { chromium } from 'playwright-core'

const [base, key, shots] = process.argv.slice(2)
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const PASSWORD = 'correct horse'
const HOSTILE = '<script>alert("x")</script> & \'Sons\''
const DESK = { width: 1440, height: 900 }
const PHONE = { width: 390, height: 844 }

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
const expected = /status of (400|403|404|409|410)|ERR_INTERNET_DISCONNECTED/
async function visitor(viewport, colorScheme = 'light') {
  // The console forbids scripts that are not its own, and axe is not: only the checks go around that.
  const context = await browser.newContext({ viewport, colorScheme })
  const page = await context.newPage()
  page.setDefaultTimeout(15000)
  page.on('dialog', (dialog) => { throw new Error(`a script ran: ${dialog.message()}`) })
  page.on('pageerror', (error) => { throw error })
  page.on('console', (message) => {
    if (message.type() === 'error' && !expected.test(message.text())) throw new Error(`${page.url()}: ${message.text()}`)
  })
  return page
}

let checked = 0
// No violation of WCAG 2.2 A and AA, nothing that scrolls sideways, and a picture to look at.
async function check(page, name) {
  await page.waitForTimeout(350)
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth + 1)
  assert(!wide, `${name} scrolls sideways`)
  await page.screenshot({ path: `${shots}/${name}.png` })
  const client = await page.context().newCDPSession(page)
  await client.send('Page.enable')
  const { executionContextId } = await client.send('Page.createIsolatedWorld', {
    frameId: (await client.send('Page.getFrameTree')).frameTree.frame.id, worldName: 'axe',
  }).then(({ executionContextId }) => ({ executionContextId }))
  await client.send('Runtime.evaluate', { expression: axe, contextId: executionContextId })
  const run = "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }).then((r) => JSON.stringify(r.violations.map((v) => v.id + ': ' + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 120) + ' ' + (n.any[0]?.message ?? '')).join(' | '))))"
  const { result } = await client.send('Runtime.evaluate', { expression: run, contextId: executionContextId, awaitPromise: true, returnByValue: true })
  await client.detach()
  const violations = JSON.parse(result.value)
  assert.deepEqual(violations, [], name)
  checked++
}

async function logIn(page, name) {
  await page.goto(`${base}/login`)
  await page.fill('[name=name]', name)
  await page.fill('[name=password]', PASSWORD)
  await page.click('button.main')
}

// The first operator.
const anna = await visitor(DESK)
await anna.goto(`${base}/setup?key=${key}`)
await check(anna, 'setup')
await anna.fill('[name=name]', 'anna')
await anna.fill('[name=password]', PASSWORD)
await anna.click('button.main')
await anna.waitForSelector('#live[data-state=live]')
await check(anna, 'store')
assert.equal((await anna.goto(`${base}/setup?key=${key}`)).status(), 410, 'the link works once')

// Others.
await anna.goto(`${base}/people`)
for (const [name, part] of [['ben', 'operator'], ['cleo', 'staff']]) {
  await anna.fill('form.card [name=name]', name)
  await anna.selectOption('[name=part]', part)
  await anna.fill('form.card [name=password]', PASSWORD)
  await anna.click('form.card button.main')
  await anna.waitForSelector(`.rows b:text-is("${name}")`)
}
await check(anna, 'people')

// Ten reviews by keys, and two operators on one of them.
const ben = await visitor(DESK, 'dark')
await logIn(ben, 'ben')
await anna.goto(`${base}/reviews`)
await check(anna, 'reviews')
await anna.click('text=Begin with the oldest')
await anna.waitForSelector('.choices')
await check(anna, 'review')
const contested = anna.url()
await ben.goto(contested)
await check(ben, 'review-dark')
assert((await ben.textContent('.choices')).includes(HOSTILE), 'a name is text')
const times = []
for (const answer of ['1', '2', 'n', '1', '1', '2', 'n', '1', '1', '2']) {
  const before = anna.url()
  const start = Date.now()
  await anna.keyboard.press(answer)
  await anna.waitForURL((url) => url.href !== before)
  await anna.waitForSelector('.choices')
  times.push(Date.now() - start)
}
await ben.keyboard.press('2')
await ben.waitForSelector('h1:text-is("This is decided")')
assert((await ben.textContent('main')).includes('anna decided it'), 'by whom is said')
await check(ben, 'decided')
await ben.keyboard.press('j')
await ben.waitForSelector('.choices')
await ben.keyboard.press('j')
await ben.waitForSelector('.choices')
await ben.keyboard.press('1')
await ben.waitForSelector('.choices')
times.sort((a, b) => a - b)

// Every other page, at the desk and on a tablet's narrow side.
const narrow = await visitor(PHONE)
await logIn(narrow, 'anna')
await narrow.waitForSelector('#live[data-state=live]')
for (const path of ['/', '/reviews', '/visits', '/visits/s-87-4f2a', '/requests', '/stock', '/floor', '/happened', '/nodes', '/journal', '/control', '/people', '/acts', '/programs', '/owner', '/quality', '/settings', '/planogram']) {
  const name = path.slice(1).replace(/\W+/g, '-') || 'store'
  for (const [page, size] of [[anna, 'wide'], [narrow, 'narrow'], [ben, 'dark']]) {
    await page.goto(base + path)
    await check(page, `${name}-${size}`)
  }
}

// A key for a program, shown once, and a webhook that is tried.
await anna.goto(`${base}/programs`)
await anna.fill('form[action="/programs/keys"] [name=name]', 'Bookkeeping')
await anna.check('[name="reports:read"]')
await anna.click('text=Make the key')
const made = await anna.textContent('.secret')
assert(/^stroll_[\w-]{43}$/.test(made), made)
await check(anna, 'programs-key')
const asked = (path) => fetch(`${base}${path}`, { headers: { authorization: `Bearer ${made}` } })
assert.equal((await asked('/api/v1/day-end/2026-11-23')).status, 200)
assert.equal((await asked('/api/v1/carts')).status, 403)
await anna.goto(`${base}/programs`)
assert(!(await anna.content()).includes(made), 'it is shown once')
await anna.fill('[name=url]', 'http://127.0.0.1:9/hook')
await anna.click('text=Add it')
await anna.waitForSelector('text=By this secret')
await anna.click('a:has-text("127.0.0.1:9")')
await anna.click('text=Send a test')
await anna.waitForSelector('text=webhook.test')
await check(anna, 'webhook')
await narrow.goto(anna.url())
await check(narrow, 'webhook-narrow')

// Opening hours.
await anna.goto(`${base}/owner`)
await anna.fill('[name=opens1]', '08:00')
await anna.click('text=Keep these hours')
await anna.waitForSelector('[role=alert]:has-text("Monday")')
await check(anna, 'owner-wrong')

// A rule, with what is wrong beside it, and a facing that is taken off and put back.
await anna.goto(`${base}/settings`)
await anna.fill('#confidence_min', '2')
await anna.click('text=Check and keep')
await anna.waitForSelector('.setting:has(#confidence_min) .wrong')
await check(anna, 'settings-wrong')
await narrow.goto(`${base}/settings`)
await anna.fill('#confidence_min', '0.9')
await anna.fill('#hold_minor', '2500')
await anna.click('text=Check and keep')
await anna.waitForSelector('text=restart the coordinator')
await narrow.fill('#hold_minor', '9')
await narrow.click('text=Check and keep')
await narrow.waitForSelector('[role=alert]:has-text("meanwhile")')
await anna.goto(`${base}/planogram`)
await anna.locator('.facing', { hasText: 'Lager' }).locator('text=Remove').click()
await anna.waitForSelector('text=Last change: took')
assert.equal(await anna.locator('.facing', { hasText: 'Lager' }).count(), 0)
const free = anna.locator('details', { hasText: 'Shelf 1.1' }).locator('.facing').last()
await free.locator('[name=product]').fill('no-such-thing')
await free.locator('[name=plates]').fill('3')
await free.locator('text=Add').click()
await anna.waitForSelector('[role=alert]:has-text("no-such-thing")')
await check(anna, 'planogram-wrong')
await anna.click('text=Undo')
await anna.locator('.facing', { hasText: 'Lager' }).waitFor()

// Closing time, seen by who looks at the store.
await narrow.goto(base + '/')
await anna.goto(`${base}/control`)
await anna.click('text=Close the store')
await anna.waitForSelector('text=Open the store')
await narrow.waitForSelector('text=the store was closed by anna')
await anna.click('text=Open the store')
await anna.waitForSelector('text=Close the store')

// Staff count a shelf, and may not refund.
const cleo = await visitor(PHONE)
await logIn(cleo, 'cleo')
assert.equal((await cleo.goto(`${base}/control`)).status(), 403)
assert.equal((await cleo.goto(`${base}/people`)).status(), 403)

// A shopper joins, shows a code, sees the cart, and complains.
const sam = await visitor(PHONE)
await sam.goto(`${base}/join`)
await check(sam, 'join')
await sam.fill('[name=name]', 'sam')
await sam.fill('[name=password]', PASSWORD)
await sam.check('[name=consent]')
await sam.click('button.main')
await sam.waitForSelector('#code[data-state=ready]')
await sam.waitForSelector('#cart .cart')
await check(sam, 'phone')
await sam.locator('#code').screenshot({ path: `${shots}/code.png` })
const device = (await sam.getAttribute('#code', 'data-code')).split('.')[1]
await sam.reload()
await sam.waitForSelector('#code[data-state=ready]')
assert.equal((await sam.getAttribute('#code', 'data-code')).split('.')[1], device, 'the key is kept')

// Without a network the code is still made, also by a page that is opened anew.
await sam.evaluate(() => navigator.serviceWorker.ready)
await sam.reload()
await sam.waitForSelector('#code[data-state=ready]')
await sam.context().setOffline(true)
await sam.reload()
await sam.waitForSelector('#code[data-state=ready]')
assert(await sam.isVisible('text=Offline'))
await check(sam, 'phone-offline')
await sam.context().setOffline(false)

await sam.goto(`${base}/me/visits`)
await check(sam, 'receipts')
await sam.click('.rows a')
await sam.waitForSelector('.paper-line')
await check(sam, 'receipt')
assert((await sam.textContent('main')).includes(HOSTILE))
const line = sam.locator('.paper-line', { hasText: 'Sons' })
await line.locator('summary').click()
await line.locator('[name=why]').fill('bruised <img src=x onerror=alert(1)>')
await line.locator('button').click()
await sam.waitForSelector('.badge:text-is("Asked")')

await anna.goto(`${base}/requests`)
assert((await anna.textContent('q')).includes('bruised <img'), 'feedback is text')
await check(anna, 'requests-open')
await anna.click('button:text-is("Refund")')
await anna.waitForSelector('.badge:text-is("Refunded")')
await sam.reload()
await sam.waitForSelector('.badge:text-is("Refunded")')

// The phone speaks another language, and keeps it.
await sam.goto(`${base}/me/account`)
await sam.selectOption('[name=language]', 'de')
await sam.click('text=Use it')
await sam.waitForSelector('h1:text-is("Sie")')
await check(sam, 'account-german')
await sam.goto(`${base}/me`)
await sam.waitForSelector('text=Halten Sie ihn vor die Schranke')
await check(sam, 'phone-german')
await sam.goto(`${base}/me/account`)
await sam.selectOption('[name=language]', 'en')
await sam.click('text=Übernehmen')
await sam.waitForSelector('h1:text-is("You")')
await check(sam, 'account')
const exported = await sam.evaluate(() => fetch('/me/export.json').then((answer) => answer.json()))
assert.equal(exported.name, 'sam')
assert.equal(exported.receipts.length, 1)
assert.equal((await sam.goto(`${base}/reviews`)).status(), 403)
await sam.goto(`${base}/me/account`)
await sam.click('summary:text-is("Erase the account")')
await sam.click('text=Erase it now')
await sam.waitForSelector('text=You are forgotten')
await logIn(sam, 'sam')
await sam.waitForSelector('text=There is no such name')

console.log(`${checked} pages checked; a review takes ${times[5]} ms from key to the next one's evidence (median of ${times.length})`)
await browser.close()
