/** Runs a second of the bare model in this process, one row a run: what no server around it can exceed without batching. */
import { InferenceSession, Tensor } from 'onnxruntime-node'

const [modelPath = '', seconds = '2'] = process.argv.slice(2)
const session = await InferenceSession.create(modelPath, { intraOpNumThreads: 1, interOpNumThreads: 1 })
const [input = ''] = session.inputNames
const row = Float32Array.from({ length: 20 }, (_, index) => Math.sin(index))
const endsAt = performance.now() + Number(seconds) * 1000
let runs = 0
for (; performance.now() < endsAt; runs += 1) await session.run({ [input]: new Tensor('float32', row, [1, 20]) })
console.log(Math.round(runs / Number(seconds)))
