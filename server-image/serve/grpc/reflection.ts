/** Tells tools what services and messages there are (gRPC Server Reflection), from the descriptors that the services are made of. */
import { toBinary, type DescFile, type DescService } from '@bufbuild/protobuf'
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt'
import { Code } from '@connectrpc/connect'
import { refusal } from './failure.ts'
import type { ServerReflectionRequest } from './generated/grpc/reflection/v1/reflection_pb.js'
import type { ServerReflectionRequest as AlphaRequest } from './generated/grpc/reflection/v1alpha/reflection_pb.js'

/** At once, whoever asks: clients that do not read leave us with all their answers, which are larger than their questions. */
const MAX_CALLS = 8
/** Of one call; tools ask one for each file and symbol. */
const MAX_QUESTIONS = 1000

type Question = (ServerReflectionRequest | AlphaRequest)['messageRequest']

/** Both versions of the service have the same messages, but for the name of their package; they share the bound of calls. */
export function reflectionOf(services: readonly DescService[]) {
  const files = [...new Set(services.map(({ file }) => file))]
  const names = [...new Set(services.map(({ typeName }) => typeName))]
  let calls = 0
  return async function* (requests: AsyncIterable<ServerReflectionRequest | AlphaRequest>) {
    if (calls >= MAX_CALLS)
      throw refusal(
        `There are ${MAX_CALLS} calls of reflection already; try again in a moment.`,
        Code.ResourceExhausted,
      )
    calls += 1
    try {
      let questions = 0
      for await (const { host, messageRequest } of requests) {
        questions += 1
        if (questions > MAX_QUESTIONS)
          throw refusal(`A call may ask ${MAX_QUESTIONS} questions; make another one.`, Code.ResourceExhausted)
        yield {
          validHost: host,
          originalRequest: { host, messageRequest: messageRequest as never },
          messageResponse: answerTo(messageRequest, files, names),
        }
      }
    } finally {
      calls -= 1
    }
  }
}

function answerTo(question: Question, files: readonly DescFile[], services: readonly string[]) {
  switch (question.case) {
    case 'listServices':
      return {
        case: 'listServicesResponse' as const,
        value: { service: services.map((name) => ({ name })) },
      }
    case 'fileByFilename':
      return fileAnswer(files.find(({ proto }) => proto.name === question.value))
    case 'fileContainingSymbol':
      return fileAnswer(files.find((file) => symbolsOf(file).has(question.value)))
    case 'allExtensionNumbersOfType':
    case 'fileContainingExtension':
      return notFound('There are no extensions here.')
    case undefined:
      return errorAnswer(Code.InvalidArgument, 'The request asks nothing.')
    default:
      return question satisfies never
  }
}

/** Full names of services, their methods, messages and enums. */
function symbolsOf({ services, messages, enums }: DescFile): ReadonlySet<string> {
  const symbols = new Set(enums.map(({ typeName }) => typeName))
  for (const { typeName, methods } of services) {
    symbols.add(typeName)
    for (const { name } of methods) symbols.add(`${typeName}.${name}`)
  }
  const pending = [...messages]
  for (let message = pending.pop(); message !== undefined; message = pending.pop()) {
    symbols.add(message.typeName)
    for (const { typeName } of message.nestedEnums) symbols.add(typeName)
    pending.push(...message.nestedMessages)
  }
  return symbols
}

/** None of our files imports another. */
function fileAnswer(file: DescFile | undefined) {
  if (file === undefined) return notFound('There is no such file or symbol.')
  return {
    case: 'fileDescriptorResponse' as const,
    value: { fileDescriptorProto: [toBinary(FileDescriptorProtoSchema, file.proto)] },
  }
}

const notFound = (message: string) => errorAnswer(Code.NotFound, message)

function errorAnswer(errorCode: Code, errorMessage: string) {
  return { case: 'errorResponse' as const, value: { errorCode, errorMessage } }
}
