// QR codes of the sizes that entry codes need: byte mode, error correction M, versions 1 to 6 (ISO/IEC 18004).
// Of each version: codewords in all, blocks, and of them for correction in each block.
const SIZES = [[26, 1, 10], [44, 1, 16], [70, 1, 26], [100, 2, 18], [134, 2, 24], [172, 4, 16]]

const EXP = [], LOG = []
for (let i = 0, x = 1; i < 255; i++) {
  EXP[i] = x
  LOG[x] = i
  x = (x << 1) ^ (x & 128 ? 0x11d : 0)
}
const times = (a, b) => (a && b ? EXP[(LOG[a] + LOG[b]) % 255] : 0)

// The remainder of Reed and Solomon's division.
function correction(data, count) {
  let generator = [1]
  for (let i = 0; i < count; i++) {
    const next = [...generator, 0]
    generator.forEach((g, j) => { next[j + 1] ^= times(g, EXP[i]) })
    generator = next
  }
  const rest = [...data, ...Array(count).fill(0)]
  for (let i = 0; i < data.length; i++) {
    const factor = rest[i]
    for (let j = 0; j <= count; j++) rest[i + j] ^= times(generator[j], factor)
  }
  return rest.slice(data.length)
}

function codewords(bytes) {
  const version = SIZES.findIndex(([all, blocks, ec]) => all - blocks * ec >= bytes.length + 2) + 1
  if (!version) throw new Error('too long for a code of this size')
  const [all, blocks, ec] = SIZES[version - 1]
  const room = all - blocks * ec
  let bits = '0100' + bytes.length.toString(2).padStart(8, '0')
  for (const byte of bytes) bits += byte.toString(2).padStart(8, '0')
  bits += '0000'.slice(0, room * 8 - bits.length)
  bits = bits.padEnd(Math.ceil(bits.length / 8) * 8, '0')
  const data = bits.match(/.{8}/g).map((byte) => parseInt(byte, 2))
  for (let pad = 0; data.length < room; pad++) data.push(pad % 2 ? 0x11 : 0xec)
  const size = room / blocks
  const parts = Array.from({ length: blocks }, (_, i) => data.slice(i * size, (i + 1) * size))
  const checks = parts.map((part) => correction(part, ec))
  const out = []
  for (let i = 0; i < size; i++) for (const part of parts) out.push(part[i])
  for (let i = 0; i < ec; i++) for (const check of checks) out.push(check[i])
  return { version, out }
}

const MASKS = [
  (r, c) => (r + c) % 2, (r) => r % 2, (_, c) => c % 3, (r, c) => (r + c) % 3,
  (r, c) => ((r >> 1) + Math.floor(c / 3)) % 2, (r, c) => ((r * c) % 2) + ((r * c) % 3),
  (r, c) => (((r * c) % 2) + ((r * c) % 3)) % 2, (r, c) => (((r + c) % 2) + ((r * c) % 3)) % 2,
]

// What every code of a version has: finders, timing, alignment. `null` is free for data.
function frame(version) {
  const n = 17 + 4 * version
  const grid = Array.from({ length: n }, () => Array(n).fill(null))
  const put = (r, c, dark) => { if (r >= 0 && c >= 0 && r < n && c < n) grid[r][c] = dark }
  for (const [r0, c0] of [[0, 0], [0, n - 7], [n - 7, 0]])
    for (let r = -1; r <= 7; r++)
      for (let c = -1; c <= 7; c++) {
        const ring = Math.max(Math.abs(r - 3), Math.abs(c - 3))
        put(r0 + r, c0 + c, ring !== 2 && ring !== 4)
      }
  if (version > 1)
    for (let r = -2; r <= 2; r++)
      for (let c = -2; c <= 2; c++) put(n - 7 + r, n - 7 + c, Math.max(Math.abs(r), Math.abs(c)) !== 1)
  for (let i = 8; i < n - 8; i++) grid[6][i] = grid[i][6] = i % 2 === 0
  for (let i = 0; i < 9; i++) {
    grid[8][i] ??= false
    grid[i][8] ??= false
    if (i < 8) grid[8][n - 1 - i] = grid[n - 1 - i][8] = false
  }
  grid[n - 8][8] = true
  return grid
}

function fill(grid, bytes, mask) {
  const n = grid.length
  const out = grid.map((row) => [...row])
  let bit = 0
  for (let right = n - 1, up = true; right > 0; right -= 2, up = !up) {
    if (right === 6) right--
    for (let i = 0; i < n; i++) {
      const r = up ? n - 1 - i : i
      for (const c of [right, right - 1]) {
        if (grid[r][c] !== null) continue
        const dark = bit < bytes.length * 8 && (bytes[bit >> 3] >> (7 - (bit & 7))) & 1
        out[r][c] = !!dark !== (MASKS[mask](r, c) === 0)
        bit++
      }
    }
  }
  // Correction M is 00; then the mask, both protected by a BCH code.
  let rest = mask << 10
  for (let i = 14; i >= 10; i--) if ((rest >> i) & 1) rest ^= 0x537 << (i - 10)
  const format = ((mask << 10) | rest) ^ 0x5412
  const places = [...Array(6).keys(), 7, 8]
  for (let i = 0; i < 15; i++) {
    const dark = !!((format >> i) & 1)
    if (i < 8) out[places[i]][8] = out[8][n - 1 - i] = dark
    else {
      out[8][i === 8 ? 7 : 14 - i] = dark
      out[n - 15 + i][8] = dark
    }
  }
  return out
}

// How hard a code is to read: runs, blocks, false finders, and how uneven it is.
function penalty(grid) {
  const n = grid.length
  let sum = 0, dark = 0
  const columns = grid.map((_, c) => grid.map((row) => row[c]))
  for (const line of [...grid, ...columns]) {
    const text = line.map((d) => (d ? '1' : '0')).join('')
    for (const run of text.match(/1{5,}|0{5,}/g) ?? []) sum += run.length - 2
    for (let i = 0; i + 11 <= n; i++)
      if (['10111010000', '00001011101'].includes(text.slice(i, i + 11))) sum += 40
  }
  for (let r = 0; r < n; r++)
    for (let c = 0; c < n; c++) {
      dark += grid[r][c]
      if (r && c && [grid[r - 1][c], grid[r][c - 1], grid[r - 1][c - 1]].every((d) => d === grid[r][c])) sum += 3
    }
  return sum + Math.floor(Math.abs((dark * 20) / (n * n) - 10)) * 10
}

// The modules of a text's code, true where dark.
export function modules(text) {
  const { version, out } = codewords([...new TextEncoder().encode(text)])
  const empty = frame(version)
  const all = MASKS.map((_, mask) => fill(empty, out, mask))
  return all.reduce((best, grid) => (penalty(grid) < penalty(best) ? grid : best))
}

// The same as the path of an SVG, one unit a module, and how many modules wide it is.
export function path(text) {
  const grid = modules(text)
  const drawn = grid.map((row, r) => row.map((dark, c) => (dark ? `M${c} ${r}h1v1h-1z` : '')).join('')).join('')
  return { drawn, size: grid.length }
}
