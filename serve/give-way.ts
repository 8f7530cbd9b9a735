/** Models run on the thread that answers: between two pictures of one request, others get their turn. */
export function giveWay(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
