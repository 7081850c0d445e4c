/** Plain JSON. */
type Json = unknown
type JsonObject = Readonly<Record<string, Json>>

/** Lists of a pod template whose items are merged by a key; every other list is replaced as a whole (KEP-555's list map keys). */
export const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  ephemeralContainers: 'name',
  volumes: 'name',
  env: 'name',
  imagePullSecrets: 'name',
  volumeMounts: 'mountPath',
  ports: 'containerPort',
  hostAliases: 'ip',
}

/** Of these, the ones whose items have a name without which nothing can be done. */
export const LISTS_OF_NAMED: readonly string[] = ['containers', 'initContainers', 'volumes']

/** Merges a user's partial pod template over ours. `null` removes a field, as in a JSON merge patch (RFC 7386). */
export function mergeTemplate(ours: JsonObject, theirs: JsonObject): JsonObject {
  const merged: Record<string, Json> = { ...ours }
  for (const [key, value] of Object.entries(theirs)) {
    if (key === '__proto__') continue
    if (value === null) delete merged[key]
    else merged[key] = mergeValue(key, ours[key], value)
  }
  return merged
}

function mergeValue(key: string, ours: Json, theirs: Json): Json {
  if (isObject(ours) && isObject(theirs)) return mergeTemplate(ours, theirs)
  const mergeKey = Object.hasOwn(MERGE_KEYS, key) ? MERGE_KEYS[key] : undefined
  if (mergeKey !== undefined && isObjectList(ours) && isObjectList(theirs)) return mergeByKey(ours, theirs, mergeKey)
  return theirs
}

function mergeByKey(ours: readonly JsonObject[], theirs: readonly JsonObject[], key: string): Json {
  const known = ours.map((item) => {
    const patch = theirs.find((each) => each[key] === item[key])
    return patch === undefined ? item : mergeTemplate(item, patch)
  })
  const added = theirs.filter((item) => !ours.some((each) => each[key] === item[key]))
  return [...known, ...added]
}

export function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isObjectList(value: Json): value is readonly JsonObject[] {
  return Array.isArray(value) && value.every(isObject)
}
