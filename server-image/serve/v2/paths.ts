/** Paths of the one model, without and with its version, as they look in a request. */
export function modelPaths(model: { readonly modelName: string; readonly modelVersion: string }): [string, string] {
  const path = `/v2/models/${encoded(model.modelName)}`
  return [path, `${path}/versions/${encoded(model.modelVersion)}`]
}

/** KServe's first protocol has one path for predictions, and one that tells whether the model is ready. */
export function v1PredictPath(modelName: string): string {
  return `${v1ModelPath(modelName)}:predict`
}

export function v1ModelPath(modelName: string): string {
  return `/v1/models/${encoded(modelName)}`
}

/** What `encodeURIComponent` leaves as it is has a meaning in express's paths. */
function encoded(segment: string): string {
  return encodeURIComponent(segment).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
