/** `/docs`: the document as one page for people, where every request can be tried. It loads nothing from anywhere. */
import { createHash } from 'node:crypto'
import { escaped } from '../../monitor/escaped.ts'
import type { ModelContract, TensorContract } from '../../../protocol/resolve.ts'
import type { TabularSignature } from '../../model/signature.ts'
import type { Described } from './described.ts'
import { limitsOf, type OpenApiDocument } from './document.ts'
import { SCRIPT } from './docs-script.ts'
import { STYLE } from './docs-style.ts'
import { errorTable } from './errors.ts'
import { askings, inferenceExamples, type Asking, type ExampleObjects } from './inference-operations.ts'
import type { Operation, Paths } from './operation.ts'
import { MAX_LISTED_VALUES, noteOf, type Schemas } from './row-schemas.ts'
import { OPENAPI_PATH } from './server-operations.ts'
import type { Schema } from './value-schema.ts'

/** Only the page's own style and script, and requests to its own server. */
export const DOCS_POLICY = [
  "default-src 'none'",
  `style-src ${hashOf(STYLE)}`,
  `script-src ${hashOf(SCRIPT)}`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ')

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}

export function docsPage(described: Described, { paths, components }: OpenApiDocument): string {
  const { modelName, modelVersion, revision } = described
  const body = `<header><h1>${escaped(modelName)} ${escaped(modelVersion)}</h1>
<p class="dim">Revision ${escaped(revision)}. This page is made from the model that is loaded.</p>
<nav aria-label="On this server"><a href=".${OPENAPI_PATH}">OpenAPI document</a><a href="./report">Drift and quality</a><a href="./metrics">Metrics</a><a href="./health">Health</a></nav>
${factsOf(described)}</header>
<main>${takes(described)}${gives(described)}<h2 id="try">Ask it</h2>
<noscript><p>To send requests from this page, allow it to run its script.</p></noscript>
${cards(described, paths)}${allPaths(paths)}${errors()}${limits(described)}${schemas(components.schemas)}</main>`
  return htmlPage({ title: `${modelName} ${modelVersion}: API`, body, script: SCRIPT })
}

/** For the moments before there is a model to describe; it loads itself again. */
export function loadingPage({ modelName, modelVersion }: Pick<Described, 'modelName' | 'modelVersion'>): string {
  const title = `${modelName} ${modelVersion}`
  const body = `<main><h1>${escaped(title)}</h1><p>The model is being loaded; its page comes as soon as it is known.</p></main>`
  return htmlPage({ title, body, head: '<meta http-equiv="refresh" content="1">' })
}

interface Html {
  readonly title: string
  readonly body: string
  readonly head?: string
  readonly script?: string
}

function htmlPage({ title, body, head = '', script }: Html): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">${head}<title>${escaped(title)}</title><link rel="icon" href="data:,"><style>${STYLE}</style></head>
<body>${body}${script === undefined ? '' : `<script>${script}</script>`}</body></html>
`
}

function factsOf({ model: { signature, contract, sha256 }, maxInstances }: Described): string {
  const facts: [string, string][] =
    signature.kind === 'tabular'
      ? [
          [signature.task, 'what it does'],
          [signature.featureCount === -1 ? 'any number' : String(signature.featureCount), 'features in a row'],
          ...(signature.classLabels === undefined
            ? []
            : [[String(signature.classLabels.length), 'classes'] as [string, string]]),
        ]
      : [
          [String(contract.inputs.length), 'tensors in'],
          [String(contract.outputs.length), 'tensors out'],
        ]
  facts.push([String(maxInstances), 'rows in one request'], [sha256.slice(0, 10), 'sha256 of the file'])
  const cards = facts.map(
    ([value, name]) => `<div class="fact"><b>${escaped(value)}</b><span class="dim">${escaped(name)}</span></div>`,
  )
  return `<div class="facts">${cards.join('')}</div>`
}

const MAX_SHOWN_ROWS = 200

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = heads.map((each) => `<th scope="col">${each}</th>`).join('')
  const body = rows
    .slice(0, MAX_SHOWN_ROWS)
    .map((cells) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`)
  const more = rows.length - MAX_SHOWN_ROWS
  const note = more > 0 ? `<p class="dim">And ${more} more; the OpenAPI document has them.</p>` : ''
  return `<div class="table"><table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table></div>${note}`
}

function takes({ model: { signature, contract }, profile, examples }: Described): string {
  const title = '<h2 id="takes">What it takes</h2>'
  if (signature.kind === 'none') {
    return `${title}<p>${escaped(signature.reason)} So it is asked by tensors.</p>${tensorsTable(contract.inputs)}`
  }
  const { features, blocks } = signature
  if (features.length === 0) {
    return `${title}<p>Rows with any number of values, each ${escaped(blocks[0]?.datatype ?? '')}.</p>`
  }
  const seen = new Map(profile?.features.map((feature) => [feature.name, feature]))
  const row = examples.rows[0]?.row ?? []
  const rows = features.map(({ name, datatype }, index) => [
    `<code>${escaped(name)}</code>`,
    datatype,
    escaped(JSON.stringify(row[index]) ?? ''),
    ...(profile === undefined ? [] : [escaped(noteOf(seen.get(name)) ?? '')]),
  ])
  const heads = ['feature', 'datatype', 'example', ...(profile === undefined ? [] : ['in the training data'])]
  return `${title}${table(heads, rows)}`
}

function gives({ model: { signature, contract } }: Described): string {
  const answer = signature.kind === 'tabular' ? `<p>${escaped(answerOf(signature))}</p>` : ''
  return `<h2 id="gives">What it gives</h2>${answer}${tensorsTable(contract.outputs)}`
}

function answerOf({ task, classLabels, probability }: TabularSignature): string {
  if (task === 'regression') return 'A number for each row.'
  const shown = classLabels?.slice(0, MAX_LISTED_VALUES).map((label) => JSON.stringify(label))
  const labels =
    shown === undefined ? '' : `: ${shown.join(', ')}${shown.length < (classLabels?.length ?? 0) ? ', …' : ''}`
  return `One class for each row${labels}${probability === undefined ? '' : '; and the probabilities of all classes'}.`
}

function tensorsTable(tensors: ModelContract['inputs']): string {
  const shape = ({ shape }: TensorContract) => `[${shape.map((size) => (size === -1 ? 'any' : size)).join(', ')}]`
  const rows = tensors.map((tensor) => [
    `<code>${escaped(tensor.name)}</code>`,
    escaped(tensor.datatype),
    shape(tensor),
  ])
  return table(['tensor', 'datatype', 'shape'], rows)
}

function cards(described: Described, paths: Paths): string {
  const known = inferenceExamples(described)
  const asked = askings(described).map(([path, asking]) => {
    const links = [
      ['takes', asking.request],
      ['answers', asking.answer],
    ] as const
    return card({ ...asking, path, links, bodies: bodiesOf(asking, known) })
  })
  const feedback = paths['/feedback']
  const told = feedback !== undefined && 'post' in feedback ? [feedbackCard(feedback.post)] : []
  return [...asked, ...told].join('\n')
}

type Body = readonly [name: string, json: string]

function bodiesOf({ examples }: Asking, known: ExampleObjects): Body[] {
  return examples.flatMap((name) => {
    const example = known[name]
    return example === undefined ? [] : [[example.summary ?? name, JSON.stringify(example.value)] as const]
  })
}

function feedbackCard({ operationId, summary, description = '' }: Operation): string {
  const hint = `${description} Ask above first: the answer’s id comes here.`
  const links = [
    ['takes', 'FeedbackRequest'],
    ['answers', 'FeedbackAnswer'],
  ] as const
  return card({ operationId, summary, description: hint, path: '/feedback', links, bodies: [] })
}

interface Card {
  readonly operationId: string
  readonly path: string
  readonly summary: string
  readonly description: string
  readonly links: readonly (readonly [word: string, schema: string])[]
  /** What the form can be filled with. */
  readonly bodies: readonly Body[]
}

function card({ operationId: id, path, summary, description, links, bodies }: Card): string {
  const linked = links.map(([word, schema]) => `${word} <a href="#schema-${schema}">${schema}</a>`).join(', ')
  return `<section class="card" id="${id}" data-path="${escaped(path)}" aria-labelledby="${id}-title">
<h3 id="${id}-title"><span class="method">POST</span><code>${escaped(path)}</code></h3>
<p>${escaped(summary)}: ${linked}.</p><p class="dim">${escaped(description)}</p>
<form><label for="${id}-body">Body, as JSON</label><textarea id="${id}-body" name="body" spellcheck="false" autocomplete="off">${escaped(bodies[0]?.[1] ?? '')}</textarea>
<div class="row"><button class="main" type="submit">Send</button>${chooser(id, bodies)}<output></output></div></form>
<pre class="answer" tabindex="0" role="region" aria-label="Answer of ${escaped(path)}" hidden></pre>
${snippet('curl', 'curl')}${snippet('python', 'Python')}</section>`
}

function chooser(id: string, bodies: readonly Body[]): string {
  if (bodies.length < 2) return ''
  const options = bodies.map(([name, json]) => `<option value="${escaped(json)}">${escaped(name)}</option>`)
  return `<select name="example" aria-label="Example" id="${id}-example">${options.join('')}</select>`
}

function snippet(kind: string, name: string): string {
  return `<details><summary>${name}</summary><div><pre tabindex="0"><code class="${kind}"></code></pre><button class="copy" type="button">Copy</button></div></details>`
}

function allPaths(paths: Paths): string {
  const rows = Object.entries(paths).map(([path, item]) => {
    const isRead = 'get' in item
    const { summary, operationId } = isRead ? item.get : item.post
    const link = isRead ? `.${path}` : `#${operationId}`
    return [
      `<span class="method">${isRead ? 'GET' : 'POST'}</span>`,
      `<a href="${escaped(link)}"><code>${escaped(path)}</code></a>`,
      escaped(summary),
    ]
  })
  return `<h2 id="paths">All paths</h2>${table(['method', 'path', 'what for'], rows)}`
}

function errors(): string {
  const rows = errorTable().map(({ status, code, meaning }) => [
    String(status),
    `<code>${code}</code>`,
    escaped(meaning),
  ])
  return `<h2 id="errors">Errors</h2><p>Each is JSON with its code, a message, and the field that is wrong if there is one:
<a href="#schema-Error">Error</a>, or <a href="#schema-V2Error">V2Error</a> below <code>/v1</code> and <code>/v2</code>.</p>${table(['status', 'code', 'meaning'], rows)}`
}

function limits(described: Described): string {
  const rows = limitsOf(described).map(({ value, meaning }) => [value.toLocaleString('en'), escaped(meaning)])
  return `<h2 id="limits">Limits</h2>${table(['at most', 'of what'], rows)}`
}

function schemas(all: Schemas): string {
  const parts = Object.entries(all).map(
    ([name, schema]) =>
      `<details><summary><code>${name}</code></summary><pre id="schema-${name}" tabindex="0">${schemaHtml(schema)}</pre></details>`,
  )
  return `<h2 id="schemas">Schemas</h2>${parts.join('')}`
}

/** Its references lead to the schemas they name. */
function schemaHtml(schema: Schema): string {
  return escaped(JSON.stringify(schema, undefined, 2)).replace(
    /#\/components\/schemas\/(\w+)/g,
    (reference, name: string) => `<a href="#schema-${name}">${reference}</a>`,
  )
}
