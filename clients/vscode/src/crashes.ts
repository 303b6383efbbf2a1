const PERIOD = 3 * 60_000; // milliseconds
const LIMIT = 5; // ends of the server in one period

/** Whether to start the server again after it has ended by itself: not if that happens all the time. */
export class Crashes {
  private times: number[] = [];

  mayRestart(now: number): boolean {
    this.times = [...this.times.filter((time) => now - time < PERIOD), now];
    return this.times.length < LIMIT;
  }
}
