// Changes elements into others, as little as can be.
const key = (node) => node.dataset?.key

function freshen(node) {
  node.removeAttribute('data-fresh')
  void node.getBoundingClientRect() // restarts the animation
  node.setAttribute('data-fresh', '')
}

// Changes `from` into `to`, and leaves alone what is the same: focus, an opened receipt, a running animation.
function morph(from, to) {
  if (from.nodeType === Node.TEXT_NODE) {
    if (from.data !== to.data) from.data = to.data
    return
  }
  const news = from.dataset.v !== to.dataset.v
  for (const { name } of [...from.attributes])
    if (!to.hasAttribute(name) && name !== 'open' && name !== 'data-fresh') from.removeAttribute(name)
  for (const { name, value } of to.attributes)
    if (from.getAttribute(name) !== value) from.setAttribute(name, value)
  if (news) freshen(from)
  morphChildren(from, to)
}

// Has the children of `from` become those of `to`. Elements with `data-key` are told apart by it.
export function morphChildren(from, to) {
  const keyed = new Map([...from.children].filter(key).map((child) => [key(child), child]))
  let at = from.firstChild
  for (const node of [...to.childNodes]) {
    const same = key(node) ? keyed.get(key(node)) : at && !key(at) ? at : null
    if (same?.nodeName === node.nodeName) {
      if (same === at) at = at.nextSibling
      else from.insertBefore(same, at)
      morph(same, node)
    } else {
      from.insertBefore(node, at)
      if (key(node)) freshen(node)
      if (node.dataset && 'urgent' in node.dataset) document.querySelector('#say').textContent = node.textContent
    }
  }
  while (at) {
    const next = at.nextSibling
    at.remove()
    at = next
  }
}
