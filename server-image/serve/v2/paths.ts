/** Paths of the one model, without and with its version, as they look in a request. */
export function modelPaths(model: { readonly modelName: string; readonly modelVersion: string }): [string, string] {
  const path = `/v2/models/${encoded(model.modelName)}`
  return [path, `${path}/versions/${encoded(model.modelVersion)}`]
}

export const V1_MODELS = '/v1/models'

/** KServe's first protocol has one path for predictions, and one that tells whether the model is ready. */
export function v1PredictPath(modelName: string): string {
  return `${v1ModelPath(modelName)}:predict`
}

export function v1ModelPath(modelName: string): string {
  return `${V1_MODELS}/${encoded(modelName)}`
}

const V1_PREDICT = /^(\/v1\/models\/[^/]+)%3Apredict$/

/** The path as it is written here, of one that means the same with other escapes; the colon before `predict` may be escaped too. */
export function canonicalPath(path: string): string {
  return path.split('/').map(reencoded).join('/').replace(V1_PREDICT, '$1:predict')
}

function reencoded(segment: string): string {
  try {
    return encoded(decodeURIComponent(segment))
  } catch {
    // Escapes of no text: such a path is nowhere, and the client is told of it as it was sent.
    return segment
  }
}

/** What `encodeURIComponent` leaves as it is has a meaning in express's paths. */
function encoded(segment: string): string {
  return encodeURIComponent(segment).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
