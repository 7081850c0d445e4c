import type { PodLogs } from './apiserver/cluster.ts'
import { ApiError } from './apiserver/status.ts'
import type { Kubelet } from './kubelet/kubelet.ts'
import { LogsError } from './kubelet/pod-logs.ts'

/** What the API server asks its kubelet for when somebody reads a log. The kubelet comes after the API server, so it is asked for late. */
export function podLogsOf(kubelet: () => Kubelet | undefined): PodLogs {
  return (namespace, pod, { container, tailLines, sinceSeconds, limitBytes, ...flags }) => {
    try {
      const logs = kubelet()?.logs(namespace, pod, {
        ...flags,
        ...(container === undefined ? {} : { container }),
        ...(tailLines === undefined ? {} : { tailLines }),
        ...(limitBytes === undefined ? {} : { limitBytes }),
        ...(sinceSeconds === undefined ? {} : { sinceMs: Date.now() - sinceSeconds * 1000 }),
      })
      if (logs === undefined) throw new LogsError(404, `pods "${pod}" not found`)
      return logs
    } catch (error) {
      if (error instanceof LogsError)
        throw new ApiError(error.code, error.code === 404 ? 'NotFound' : 'BadRequest', error.message)
      throw error
    }
  }
}
