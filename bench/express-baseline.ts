/** What most people would write: express and `await session.run`, one request at a time, hardly any checks. */
import express from 'express'
import { InferenceSession, Tensor } from 'onnxruntime-node'

const [modelPath = '', port = '0'] = process.argv.slice(2)
const session = await InferenceSession.create(modelPath, { intraOpNumThreads: 1 })
const [inputName = ''] = session.inputNames
const app = express()

app.post('/predict', express.json(), async (request, response) => {
  const { features } = request.body as { features: number[] }
  const outputs = await session.run({
    [inputName]: new Tensor('float32', Float32Array.from(features), [1, features.length]),
  })
  response.json(
    Object.fromEntries(
      Object.entries(outputs).map(([name, { data }]) => [name, Array.from(data as Float32Array, Number)]),
    ),
  )
})

app.listen(Number(port), '127.0.0.1')
