import { objectsAt, textOf, type KubeObject } from '../json.ts'

export function containerNames(object: KubeObject): string {
  return objectsAt(object, 'spec', 'template', 'spec', 'containers')
    .map((each) => textOf(each['name']))
    .join(',')
}

export function containerImages(object: KubeObject): string {
  return objectsAt(object, 'spec', 'template', 'spec', 'containers')
    .map((each) => textOf(each['image']))
    .join(',')
}
