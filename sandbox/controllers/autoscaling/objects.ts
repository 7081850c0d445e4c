import type { Condition, KubeObject, LabelSelector } from '../objects.ts'

export interface MetricTarget {
  type: string
  averageUtilization?: number
  averageValue?: string
  value?: string
}

export interface MetricSpec {
  type: string
  resource?: { name: string; target: MetricTarget }
}

export interface ScalingPolicy {
  type: string
  value: number
  periodSeconds: number
}

export interface ScalingRules {
  stabilizationWindowSeconds?: number
  selectPolicy?: string
  policies?: ScalingPolicy[]
  tolerance?: string
}

export interface HorizontalPodAutoscaler extends KubeObject {
  spec: {
    scaleTargetRef: { apiVersion?: string; kind: string; name: string }
    minReplicas?: number
    maxReplicas: number
    metrics?: MetricSpec[]
    behavior?: { scaleUp?: ScalingRules; scaleDown?: ScalingRules }
  }
  status?: HorizontalPodAutoscalerStatus
}

export interface MetricStatus {
  type: string
  resource?: { name: string; current: { averageUtilization?: number; averageValue?: string } }
}

export interface HorizontalPodAutoscalerStatus {
  lastScaleTime?: string
  currentReplicas?: number
  desiredReplicas: number
  currentMetrics?: MetricStatus[] | null
  conditions?: Condition[]
}

export interface ScaleTarget {
  readonly replicas: number
  readonly selector: LabelSelector | undefined
}
