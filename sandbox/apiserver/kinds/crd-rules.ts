import type { KindRules } from './builtin-strategy.ts'

export const crdRules: KindRules = {
  blank: { spec: { group: '', names: { plural: '', kind: '' }, scope: '', versions: null }, status: {} },
  generationOf: ['spec'],
  conditionalUpdateOnly: true,
  newStatus: () => ({}),
}
