/** v1 Events and events.k8s.io/v1 Events are one resource with different names for the same fields; v1 is stored. */
import { objectAt, type Json, type JsonObject, type KubeObject } from '../json.ts'

const RENAMED: readonly (readonly [stored: string, shown: string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
]

export const eventConversion = {
  toStored: (event: KubeObject): KubeObject =>
    renamed(
      event,
      'v1',
      RENAMED.map(([stored, shown]) => [shown, stored] as const),
    ),
  fromStored: (event: KubeObject): KubeObject => renamed(event, 'events.k8s.io/v1', RENAMED),
}

function renamed(event: KubeObject, apiVersion: string, names: readonly (readonly [string, string])[]): KubeObject {
  const map = new Map(names)
  const result: JsonObject = {}
  for (const [field, value] of Object.entries(event)) result[map.get(field) ?? field] = value
  const metadata: Json = objectAt(event, 'metadata') ?? {}
  return { ...result, apiVersion, kind: 'Event', metadata: metadata as KubeObject['metadata'] }
}
