// Generated from crds/modeldeployments.yaml by scripts/generate.ts; edit the source and run `npm run generate`.

/**
 * What the user asks for. The operator never writes here.
 */
export interface ModelDeploymentSpec {
  /**
   * The model that is asked for. Changing anything here but version makes a new revision.
   */
  model: {
    /**
     * Where the ONNX file is: file:///..., http(s)://..., s3://..., gs://..., hf://..., pvc://..., oci://..., models:/name/3, models:/name@alias, dvc://...
     */
    uri: string
    /**
     * Pin of the file's content, 64 lower-case hexadecimal digits. Without it the digest found at the first fetch is recorded, and every pod must match it, as well as that of data in files beside it.
     */
    sha256?: string
    /**
     * What people call this version. A label only, shown everywhere; changing it alone rolls nothing out.
     */
    version?: string
    /**
     * Secret in the same namespace whose keys become environment variables of the fetch container, and files under /penstock/credentials there. The operator never reads it.
     */
    credentialsSecretRef?: {
      /**
       * Name of the Secret.
       */
      name: string
    }
  }
  /**
   * How the model is run. Changing anything here makes a new revision. It has no defaults in the schema; they are resolved once per revision.
   */
  server?: {
    /**
     * Server image. Default is the operator's own release of it.
     */
    image?: string
    /**
     * Compute resources of the server container, as in a Pod.
     */
    resources?: {
      /**
       * Amounts by resource name.
       */
      limits?: {
        [k: string]: number | string
      }
      /**
       * Amounts by resource name.
       */
      requests?: {
        [k: string]: number | string
      }
    }
    /**
     * Micro-batching of requests.
     */
    batching?: {
      /**
       * Most rows in one run of the model (default 64).
       */
      maxSize?: number
      /**
       * How long a request may wait for company, in milliseconds (default 0: only requests that arrive together are batched).
       */
      maxDelayMs?: number
    }
    /**
     * Runs of the model before a pod reports ready.
     */
    warmup?: {
      /**
       * Number of warm-up runs (default 8).
       */
      requests?: number
    }
    /**
     * How long a terminating pod may take to finish its requests (default 30).
     */
    drainSeconds?: number
    /**
     * Encrypts both ports of the pods. Whoever asks through a Service of Penstock speaks TLS then, and so does the relay.
     */
    tls?: {
      /**
       * Secret of type kubernetes.io/tls in the namespace, with tls.crt and tls.key, as cert-manager writes it; a renewed one is taken without a restart.
       */
      secretName: string
      /**
       * Simple (the default): clients verify the server. Mutual: they need a certificate of an authority in ca.crt of the Secret as well, but for probes and metrics. A revision is named by what is written here, so writing the default out makes a new revision, as with every field of spec.server; hashing the two alike would rename revisions that serve, and an upgrade of the operator would roll them out anew.
       */
      mode?: 'Simple' | 'Mutual'
    }
    /**
     * Partial PodTemplateSpec merged over ours (nodeSelector, tolerations, env, volumes, sidecars ...). Containers, volumes and env are merged by name; the server container is named "server".
     */
    podTemplate?: {
      [k: string]: unknown
    }
  }
  /**
   * A fixed number of replicas. This is what kubectl scale writes. With neither this nor autoscaling a first revision gets one pod, and what has a size keeps it.
   */
  scaling?: {
    /**
     * Pods of the stable revision.
     */
    replicas: number
  }
  /**
   * Bounds and metrics of a HorizontalPodAutoscaler per live revision.
   */
  autoscaling?: {
    /**
     * Lower bound (default 1).
     */
    minReplicas?: number
    /**
     * Upper bound.
     */
    maxReplicas: number
    /**
     * Metrics as in autoscaling/v2; the default is 80 % of the requested CPU.
     *
     * Items: A MetricSpec of autoscaling/v2.
     */
    metrics?: {
      [k: string]: unknown
    }[]
    /**
     * Scaling behavior as in autoscaling/v2. During a rollout scale-down of the stable revision is suspended.
     */
    behavior?: {
      [k: string]: unknown
    }
  }
  /**
   * A PodDisruptionBudget per live revision.
   */
  disruption?: {
    /**
     * Pods that an eviction may take at once, a number or a percentage.
     */
    maxUnavailable?: number | string
  }
  /**
   * The Service that users call; it has the name of the ModelDeployment.
   */
  service?: {
    /**
     * Type of the Service.
     */
    type?: 'ClusterIP' | 'NodePort' | 'LoadBalancer'
    /**
     * Port of the Service.
     */
    port?: number
    /**
     * Port of the Service for gRPC (Open Inference Protocol). Without it the Service has none.
     */
    grpcPort?: number
    /**
     * Annotations of the Service, for example for a load balancer.
     */
    annotations?: {
      [k: string]: string
    }
  }
  /**
   * How the candidate gets its share of the requests.
   */
  routing?: {
    /**
     * Relay needs nothing: the stable pods forward the share. GatewayAPI sets the weights of an HTTPRoute. ReplicaRatio goes by numbers of pods.
     */
    provider?: 'Relay' | 'GatewayAPI' | 'ReplicaRatio'
    /**
     * Keeps requests of one user on one revision.
     */
    sticky?: {
      /**
       * Request header whose value decides, for example x-user-id.
       */
      header: string
    }
    /**
     * Gateway API settings, for provider GatewayAPI only.
     */
    gateway?: {
      /**
       * Gateways that the HTTPRoute attaches to.
       *
       * Items: A ParentReference of gateway.networking.k8s.io/v1.
       */
      parentRefs?: {
        [k: string]: unknown
      }[]
      /**
       * Host names of the HTTPRoute.
       */
      hostnames?: string[]
    }
  }
  /**
   * How a new revision takes over.
   */
  rollout?: {
    /**
     * Checks of the candidate before it gets any traffic.
     */
    preTraffic?: {
      /**
       * How inputs and outputs of the candidate must relate to those of stable.
       */
      contract?: 'Compatible' | 'Identical' | 'Off'
      /**
       * Evaluation on labelled rows.
       */
      golden?: {
        /**
         * Where the labelled rows are (CSV, JSONL or Parquet).
         */
        uri: string
        /**
         * Secret in the same namespace whose keys become environment variables of the fetch container, and files under /penstock/credentials there. The operator never reads it.
         */
        credentialsSecretRef?: {
          /**
           * Name of the Secret.
           */
          name: string
        }
        /**
         * What is measured.
         */
        metric: 'accuracy' | 'f1' | 'logLoss' | 'mae' | 'rmse'
        /**
         * Bound that the candidate must reach (an upper bound for losses).
         */
        min?: number
        /**
         * How much worse than stable the candidate may be on the same rows.
         */
        maxRegression?: number
      }
    }
    /**
     * The way from 0 to 100 %, in order. Without steps a candidate that passed health gating is promoted at once.
     *
     * Items: One step.
     */
    steps?: {
      /**
       * Percent of requests that the candidate answers.
       */
      weight?: number
      /**
       * Percent of requests that are copied to the candidate, whose answers nobody sees.
       */
      shadow?: number
      /**
       * How long the step lasts at least, counted from when every stable pod acknowledged it, for example 30s, 5m, 1h30m.
       */
      hold?: string
      /**
       * Wait for a person's approve action after the hold.
       */
      approve?: boolean
    }[]
    /**
     * Questions about the candidate that must be answered Pass at every step with a weight.
     *
     * Items: One gate; exactly one kind.
     */
    gates?: {
      /**
       * Name of the gate.
       */
      name: string
      /**
       * The candidate may not fail more requests than stable does.
       */
      errorRate?: {
        /**
         * Allowed difference of the error rates, candidate minus stable, for example 0.01 for one percentage point. Zero could never be proven.
         */
        maxIncrease: number
      }
      /**
       * The candidate may not be slower than stable.
       */
      latency?: {
        /**
         * Quantile that is compared, for example 0.99.
         */
        quantile: number
        /**
         * Allowed ratio candidate / stable.
         */
        maxRatio: number
        /**
         * A candidate whose quantile is below this many milliseconds passes whatever the ratio.
         */
        ignoreBelowMs?: number
      }
      /**
       * Share of shadowed requests on which candidate and stable agree.
       */
      agreement?: {
        /**
         * Least share.
         */
        min: number
      }
      /**
       * Distance of the candidate's predictions from stable's on the same traffic.
       */
      predictionDrift?: {
        /**
         * Largest distance.
         */
        max: number
      }
      /**
       * A query of a Prometheus server.
       */
      prometheus?: {
        /**
         * Base URL of the server.
         */
        address: string
        /**
         * PromQL expression with one scalar result.
         */
        query: string
        /**
         * Least value that passes.
         */
        min?: number
        /**
         * Largest value that passes.
         */
        max?: number
      }
    }[]
    /**
     * Requests that the candidate must have answered at a step before a gate can pass.
     */
    minSamples?: number
    /**
     * What happens at the end of a hold when a gate is still Inconclusive: Hold waits for more data until the progress deadline; Replay sends golden rows to fill the gap; Proceed goes on all the same; Fail rolls back.
     */
    onInsufficientData?: 'Hold' | 'Replay' | 'Proceed' | 'Fail'
    /**
     * What happens when a gate fails: Rollback takes the candidate out; Pause takes its traffic to 0 and waits for a person.
     */
    onFailure?: 'Rollback' | 'Pause'
    /**
     * How long a rollout may go without progress (a phase or a step begun, a plan taken up), for example 30m. Holds, and time that a person holds it, do not count.
     */
    progressDeadline?: string
    /**
     * How long the old revision stays warm after a promotion; at least 30s is kept.
     */
    scaleDownDelay?: string
    /**
     * So many promotions, whose revisions an undo can go back to, and as many rollouts that ended otherwise are kept.
     */
    historyLimit?: number
    /**
     * Holds the rollout where it is. Failing gates still roll back.
     */
    paused?: boolean
  }
  /**
   * Drift of the live data.
   */
  monitoring?: {
    /**
     * Training sample or profile that live data is compared with.
     */
    reference?: {
      /**
       * Where it is.
       */
      uri: string
      /**
       * Secret in the same namespace whose keys become environment variables of the fetch container, and files under /penstock/credentials there. The operator never reads it.
       */
      credentialsSecretRef?: {
        /**
         * Name of the Secret.
         */
        name: string
      }
    }
    /**
     * What happens when the data drifts.
     */
    onDrift?: {
      /**
       * Share of drifted features that counts as drift of the data.
       */
      featureShare?: number
      /**
       * How long it must last.
       */
      for?: string
      /**
       * Starts a training Job.
       */
      retrain?: {
        /**
         * CronJob whose template is started.
         */
        cronJobRef: {
          /**
           * Name of the CronJob.
           */
          name: string
        }
        /**
         * Least time between two starts.
         */
        cooldown?: string
      }
    }
  }
}

/**
 * What the operator saw and decided. Nobody else writes here.
 */
export interface ModelDeploymentStatus {
  /**
   * Generation of spec that this status speaks of.
   */
  observedGeneration?: number
  /**
   * Pods of the stable revision; read by the scale subresource.
   */
  replicas?: number
  /**
   * Label selector of the stable revision's pods; read by the scale subresource.
   */
  selector?: string
  /**
   * A revision and what runs of it.
   */
  stable?: {
    /**
     * Name of the revision.
     */
    revision: string
    /**
     * What people call it.
     */
    version?: string
    /**
     * What columns show: the version, or the hash of the revision where nobody named one.
     */
    title?: string
    /**
     * Immutable source of its model.
     */
    uri?: string
    /**
     * Digest of its model file.
     */
    sha256?: string
    /**
     * Digest of the files beside it that hold its data. Absent when there are none.
     */
    dataSha256?: string
    /**
     * Pods that are ready.
     */
    readyReplicas?: number
    /**
     * Pods that are asked for.
     */
    desiredReplicas?: number
  }
  /**
   * A revision and what runs of it.
   */
  candidate?: {
    /**
     * Name of the revision.
     */
    revision: string
    /**
     * What people call it.
     */
    version?: string
    /**
     * What columns show: the version, or the hash of the revision where nobody named one.
     */
    title?: string
    /**
     * Immutable source of its model.
     */
    uri?: string
    /**
     * Digest of its model file.
     */
    sha256?: string
    /**
     * Digest of the files beside it that hold its data. Absent when there are none.
     */
    dataSha256?: string
    /**
     * Pods that are ready.
     */
    readyReplicas?: number
    /**
     * Pods that are asked for.
     */
    desiredReplicas?: number
  }
  /**
   * The rollout that is under way.
   */
  rollout?: {
    /**
     * Phase of the rollout.
     */
    phase: 'Idle' | 'Preparing' | 'Shifting' | 'Promoting' | 'RollingBack'
    /**
     * Index of the current step in steps, from 0.
     */
    step?: number
    /**
     * The current step of how many, counted from 1 as in Events, for example 1/3.
     */
    progress?: string
    /**
     * Percent of requests that the candidate answers.
     */
    weight?: number
    /**
     * When this phase or step began.
     */
    since?: string
    /**
     * When the verdicts were drawn.
     */
    judgedAt?: string
    /**
     * When every stable pod had acknowledged the plan; the hold counts from here.
     */
    acknowledgedAt?: string
    /**
     * When the rollout last made progress; the progress deadline counts from here.
     */
    progressedAt?: string
    /**
     * When the rollout began.
     */
    startedAt?: string
    /**
     * Generation of spec that started it.
     */
    generation?: number
    /**
     * The steps as they were when the rollout began; later edits of spec.rollout.steps count from the next rollout on.
     */
    steps?: {
      [k: string]: unknown
    }[]
    /**
     * True once a person approved the current step.
     */
    approved?: boolean
    /**
     * What let the rollout go on without a Pass of every gate at every step; absent while nothing did.
     */
    waived?: string
    /**
     * Latest verdicts.
     *
     * Items: Answer of one gate.
     */
    gates?: {
      /**
       * Name of the gate.
       */
      name: string
      /**
       * Kind of the gate.
       */
      kind?: string
      /**
       * The answer.
       */
      verdict: 'Pass' | 'Fail' | 'Inconclusive'
      /**
       * The evidence in one sentence.
       */
      message?: string
      /**
       * The numbers that the verdict was drawn from.
       */
      evidence?: {
        [k: string]: unknown
      }
    }[]
    /**
     * Answers of stable in the step before, for a step that leaves it no requests.
     */
    baseline?: {
      [k: string]: unknown
    }
    /**
     * Last counters of pods that vanished during this step.
     */
    departed?: {
      [k: string]: unknown
    }
    /**
     * Why the model could not be resolved yet, while that is tried again.
     */
    resolveFailure?: string
    /**
     * Why a rollback is under way.
     */
    because?: {
      /**
       * What ended the rollout.
       */
      kind: 'Gate' | 'Health' | 'Abort' | 'Superseded' | 'DeadlinePassed' | 'Resolve' | 'InvalidTemplate'
      /**
       * The reason in one sentence.
       */
      message?: string
      /**
       * Answer of one gate.
       */
      gate?: {
        /**
         * Name of the gate.
         */
        name: string
        /**
         * Kind of the gate.
         */
        kind?: string
        /**
         * The answer.
         */
        verdict: 'Pass' | 'Fail' | 'Inconclusive'
        /**
         * The evidence in one sentence.
         */
        message?: string
        /**
         * The numbers that the verdict was drawn from.
         */
        evidence?: {
          [k: string]: unknown
        }
      }
    }
  }
  /**
   * The traffic plan in force, or being acknowledged.
   */
  plan?: {
    /**
     * Increases with every change.
     */
    id: number
    /**
     * Revision that the Service selects.
     */
    stable?: string
    /**
     * Revision that the share goes to.
     */
    candidate?: string
    /**
     * Share of the candidate in permille.
     */
    weight?: number
    /**
     * Share that is copied to the candidate in permille.
     */
    shadow?: number
    /**
     * Header that keeps a user on one revision.
     */
    sticky?: string
    /**
     * Addresses by revision that pods may relay to under this plan or the one before; an address that changes is a new plan.
     */
    peers?: {
      /**
       * ClusterIP of the Service of that revision, behind https:// if it speaks TLS.
       */
      [k: string]: string
    }
  }
  /**
   * Why a rollout stands still although its gates do not object.
   */
  held?: {
    /**
     * Who holds it.
     */
    by: 'Spec' | 'Action' | 'Approval' | 'GateFailure'
    /**
     * The reason in one sentence.
     */
    reason: string
    /**
     * Since when.
     */
    since?: string
  }
  /**
   * Revisions that were replaced and still stand warm.
   *
   * Items: One of them.
   */
  retiring?: {
    /**
     * Name of the revision.
     */
    revision: string
    /**
     * Earliest time of its removal.
     */
    until: string
    /**
     * Requests that reached it directly so far.
     */
    directRequests?: number
    /**
     * Since when that number has not grown.
     */
    flatSince?: string
  }[]
  /**
   * An undo that is in force until spec asks for another revision.
   */
  override?: {
    /**
     * Revision that is to serve.
     */
    revision: string
    /**
     * Revision that spec asked for when it was made; a spec that asks for another one ends it.
     */
    specRevision: string
  }
  /**
   * Revisions that failed; the same spec is not tried again until somebody says retry.
   *
   * Items: One of them.
   */
  rejected?: {
    /**
     * Name of the revision.
     */
    revision: string
    /**
     * What people call it.
     */
    version?: string
    /**
     * Gate or check that failed.
     */
    gate?: string
    /**
     * Why in one sentence.
     */
    message: string
    /**
     * The numbers.
     */
    evidence?: {
      [k: string]: unknown
    }
    /**
     * When.
     */
    at: string
  }[]
  /**
   * Finished rollouts, newest first.
   *
   * Items: One of them.
   */
  history?: {
    /**
     * Name of the revision.
     */
    revision: string
    /**
     * What people call it.
     */
    version?: string
    /**
     * How it ended.
     */
    outcome: 'Promoted' | 'RolledBack' | 'Superseded' | 'Aborted'
    /**
     * Why in one sentence.
     */
    reason?: string
    /**
     * Verdicts at the end.
     *
     * Items: Answer of one gate.
     */
    evidence?: {
      /**
       * Name of the gate.
       */
      name: string
      /**
       * Kind of the gate.
       */
      kind?: string
      /**
       * The answer.
       */
      verdict: 'Pass' | 'Fail' | 'Inconclusive'
      /**
       * The evidence in one sentence.
       */
      message?: string
      /**
       * The numbers that the verdict was drawn from.
       */
      evidence?: {
        [k: string]: unknown
      }
    }[]
    /**
     * When it began.
     */
    startedAt?: string
    /**
     * When it ended.
     */
    endedAt?: string
  }[]
  /**
   * The last action of the annotation penstock.dev/action that was handled.
   */
  lastHandledAction?: {
    /**
     * Its id.
     */
    id: string
    /**
     * What was asked.
     */
    verb: string
    /**
     * What came of it.
     */
    result: string
    /**
     * When.
     */
    at?: string
  }
  /**
   * Ids of the last actions that were handled, newest first; an action that is seen again is not done again.
   *
   * Items: Id of an action.
   */
  handledActions?: string[]
  /**
   * Conditions after the rules of kstatus: Ready, Reconciling, Stalled, Available, Progressing.
   *
   * Items: One condition.
   */
  conditions?: {
    /**
     * Its type.
     */
    type: string
    /**
     * Its status.
     */
    status: 'True' | 'False' | 'Unknown'
    /**
     * Generation of spec that it speaks of.
     */
    observedGeneration?: number
    /**
     * When its status last changed.
     */
    lastTransitionTime: string
    /**
     * The reason in one word.
     */
    reason: string
    /**
     * The reason in one sentence.
     */
    message: string
  }[]
}
