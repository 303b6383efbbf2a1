/** Runs `work`, never twice at a time: calls during a run share the one run that follows it. */
export function atMostOneQueued(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let queued: Promise<void> | undefined;

  function begin(): Promise<void> {
    queued = undefined;
    running = work().finally(() => (running = undefined));
    return running;
  }

  return () => {
    if (!running) return begin();
    queued ??= running.then(begin, begin);
    return queued;
  };
}
