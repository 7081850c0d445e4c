/** Recognizes what people put in a model's place by accident, so that the message can say what it is and what to do. */
import { ModelError } from './model-error.ts'

interface ForeignFormat {
  readonly matches: (head: string) => boolean
  /** Completes "The file is ...". */
  readonly what: string
  readonly remedy: string
  readonly reason?: 'UnsupportedModel'
}

const HEAD_BYTES = 512

/** The head is latin-1 text, so one character is one byte. */
const FORMATS: readonly ForeignFormat[] = [
  {
    matches: (head) => head === '',
    what: 'empty',
    remedy: 'The upload or export did not finish; write it again.',
  },
  {
    matches: (head) => head.startsWith('version https://git-lfs.github.com/spec/'),
    what: 'a Git LFS pointer, not the model it points to',
    remedy: 'Run `git lfs pull` before publishing it, or use the URL of the media file.',
  },
  {
    matches: (head) => /^\s*(<!doctype html|<html|<head|<body|<script)/i.test(head),
    what: 'an HTML page, not a model',
    remedy: 'The URL probably leads to a sign-in, error or preview page; use the direct download URL.',
  },
  {
    matches: (head) => /^\s*(<\?xml|<error>)/i.test(head),
    what: 'an XML document, not a model',
    remedy: 'It may be an error answer of an object store; check the URL and the credentials.',
  },
  {
    matches: (head) => head.startsWith('\x1f\x8b'),
    what: 'compressed with gzip',
    remedy: 'Publish the unpacked .onnx file.',
  },
  {
    matches: (head) => head.startsWith('PK\x03\x04'),
    what: 'a zip archive (PyTorch .pt files, Keras .keras files and .npz are such)',
    remedy: 'Export the model to ONNX, or publish the unpacked .onnx file.',
  },
  {
    matches: (head) => /^\x80[\x02-\x05]/.test(head),
    what: 'a Python pickle (joblib and scikit-learn write such)',
    remedy: 'A pickle can run any code when opened and is never loaded; export the model with skl2onnx.',
  },
  {
    matches: (head) => head.startsWith('\x89HDF\r\n\x1a\n'),
    what: 'an HDF5 file (Keras .h5)',
    remedy: 'Export the model to ONNX with tf2onnx.',
  },
  {
    matches: (head) => head.slice(4, 8) === 'TFL3',
    what: 'a TensorFlow Lite model',
    remedy: 'Export the model to ONNX with tf2onnx.',
  },
  {
    matches: (head) => head.slice(4, 8) === 'ORTM',
    what: 'in the ORT format, which cannot be checked before it is run',
    remedy: 'Publish the .onnx file that it was made from.',
    reason: 'UnsupportedModel',
  },
  {
    matches: (head) => head.startsWith('GGUF'),
    what: 'a GGUF language model',
    remedy: 'This server runs ONNX models only.',
  },
  {
    matches: (head) => /^.{8}\{"/s.test(head) && head.slice(3, 8) === '\0\0\0\0\0',
    what: 'a safetensors file: weights without a graph',
    remedy: 'Export the model to ONNX.',
  },
  {
    matches: (head) => /^\s*[{[]\s*["{[\]}]/.test(head),
    what: 'a JSON document, not a model',
    remedy: 'It may be an error answer, or a model in the JSON format of XGBoost; give the .onnx file.',
  },
  {
    matches: (head) => head.startsWith('tree\nversion='),
    what: 'a LightGBM text model',
    remedy: 'Export it with onnxmltools.convert_lightgbm.',
  },
  {
    matches: (head) => head.length > 0 && /^[\t\n\r\x20-\x7e]+$/.test(head),
    what: 'a text file, not a model',
    remedy: 'Check that the path or URL names the .onnx file.',
  },
]

/** Throws a ModelError when the bytes are visibly of another format than ONNX. */
export function refuseForeignFormat(bytes: Uint8Array): void {
  const head = Buffer.from(bytes.subarray(0, HEAD_BYTES)).toString('latin1')
  const format = FORMATS.find(({ matches }) => matches(head))
  if (format === undefined) return
  throw new ModelError(format.reason ?? 'InvalidModel', `The file is ${format.what}. ${format.remedy}`)
}
