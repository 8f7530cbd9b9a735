/** What can be told of the inference threads, for metrics. */

export interface InferenceReading {
  threads: number;
  /** Threads that run or load a model now. */
  busyThreads: number;
  /** Requests that wait for a thread, and the most that may. */
  waiting: number;
  queueLimit: number;
  /** Later runs that wait of requests with many. */
  waitingLater: number;
  /** Runs since the start. */
  runs: number;
  /** Since the start: runs that were refused because too many waited, given up because their time was over, or because
   *  their caller had left; and threads that died. */
  refused: number;
  timedOut: number;
  abandoned: number;
  lostThreads: number;
}

/** One run of a model. */
export interface MeasuredRun {
  waitSeconds: number;
  /** Decoding of the picture included. */
  computeSeconds: number;
  /** Whether the model was run, and not only a picture decoded. */
  hasLayers: boolean;
}

export interface InferenceMeter {
  read(): InferenceReading;
  /** `listener` is called after each run. Returns what ends that. */
  observe(listener: (run: MeasuredRun) => void): () => void;
}
