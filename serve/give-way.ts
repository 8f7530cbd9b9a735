/** Between two runs of the model, which holds the thread: lets other requests go on. */
export function giveWay(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
