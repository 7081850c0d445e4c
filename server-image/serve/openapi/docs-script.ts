/**
 * What makes `/docs` answer to its reader: it sends what the forms hold and writes the same request for curl and for Python.
 *
 * It is text here, as the browser gets it as it is; the page's policy allows this text and no other. It makes no markup: whatever comes
 * from a form or from the server is shown as text.
 */
export const SCRIPT = String.raw`'use strict'
const base = new URL('.', location.href).href.replace(/\/$/, '')
// A number with so many digits is not the same once it was read as a double.
const LONG_INTEGER = /(?:^|[[,:\s])-?\d{16,}(?![\d.eE])/
const PYTHON = new Map([['true', 'True'], ['false', 'False'], ['null', 'None']])

function pretty(value, indent = '') {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const isList = Array.isArray(value)
  const isFlat = isList && value.every((each) => typeof each !== 'object' || each === null)
  if (isFlat) return '[' + value.map((each) => JSON.stringify(each)).join(', ') + ']'
  const inner = indent + '  '
  const lines = Object.entries(value).map(
    ([name, each]) => inner + (isList ? '' : JSON.stringify(name) + ': ') + pretty(each, inner),
  )
  const [open, close] = isList ? '[]' : '{}'
  return lines.length === 0 ? open + close : open + '\n' + lines.join(',\n') + '\n' + indent + close
}

function prettyText(text) {
  try {
    return LONG_INTEGER.test(text) ? text : pretty(JSON.parse(text))
  } catch {
    return text
  }
}

function quoted(text) {
  return "'" + text.replaceAll("'", "'\\''") + "'"
}

function curl(url, body) {
  return ['curl ' + quoted(url), "-H 'content-type: application/json'", '-d ' + quoted(body)].join(' \\\n  ')
}

function python(url, body) {
  const literal = body.replace(/"(?:[^"\\]|\\.)*"|true|false|null/g, (token) => PYTHON.get(token) ?? token)
  return [
    'import json',
    'from urllib.request import Request, urlopen',
    '',
    'body = ' + literal,
    'request = Request(',
    '    ' + JSON.stringify(url) + ',',
    '    json.dumps(body).encode(),',
    '    {"content-type": "application/json"},',
    ')',
    'with urlopen(request) as answer:',
    '    print(json.load(answer))',
  ].join('\n')
}

async function copy(button, code) {
  try {
    await navigator.clipboard.writeText(code.textContent)
  } catch {
    // The clipboard is there on secure origins only.
    getSelection().selectAllChildren(code)
    document.execCommand('copy')
  }
  const { textContent } = button
  button.textContent = 'Copied'
  setTimeout(() => (button.textContent = textContent), 1500)
}

async function send(url, body) {
  const startedAt = performance.now()
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  const text = await response.text()
  return { response, text, ms: performance.now() - startedAt }
}

function summaryOf({ response, ms }) {
  const inServer = response.headers.get('x-penstock-duration-us')
  const revision = response.headers.get('x-penstock-revision')
  const parts = [response.status + ' ' + response.statusText, ms.toFixed(1) + ' ms']
  if (inServer !== null) parts.push((inServer / 1000).toFixed(1) + ' ms of them in the server')
  if (revision !== null) parts.push('by revision ' + revision)
  return parts.join(', ')
}

// The answer that was shown last is the one to tell the truth about.
function offerFeedback({ response, text }) {
  const form = document.querySelector('#feedback form')
  const id = response.headers.get('x-request-id')
  if (form === null || id === null || !response.ok) return
  const { prediction, predictions } = JSON.parse(text)
  if (prediction === undefined && predictions === undefined) return
  const truth = prediction === undefined ? { labels: predictions } : { label: prediction }
  form.elements.body.value = pretty({ id, ...truth })
  form.elements.body.dispatchEvent(new Event('input'))
}

function begin(card) {
  const url = base + card.dataset.path
  const form = card.querySelector('form')
  const { body, example } = form.elements
  const button = form.querySelector('button')
  const status = form.querySelector('output')
  const answer = card.querySelector('.answer')
  const write = () => {
    card.querySelector('.curl').textContent = curl(url, body.value)
    card.querySelector('.python').textContent = python(url, body.value)
  }
  body.value = prettyText(body.value)
  body.rows = Math.min(24, body.value.split('\n').length + 1)
  write()
  body.addEventListener('input', write)
  body.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit()
  })
  example?.addEventListener('change', () => {
    body.value = prettyText(example.value)
    write()
  })
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    button.disabled = true
    status.className = 'dim'
    status.textContent = 'asking'
    try {
      const answered = await send(url, body.value)
      status.className = answered.response.ok ? 'good' : 'bad'
      status.textContent = summaryOf(answered)
      answer.textContent = prettyText(answered.text)
      answer.hidden = false
      if (card.id !== 'feedback') offerFeedback(answered)
    } catch (error) {
      status.className = 'bad'
      status.textContent = 'No answer: ' + error.message
      answer.hidden = true
    }
    button.disabled = false
  })
  for (const each of card.querySelectorAll('button.copy'))
    each.addEventListener('click', () => copy(each, each.parentElement.querySelector('code')))
}

for (const card of document.querySelectorAll('.card[data-path]')) begin(card)
`
