/** Numbers as people read them, in tables, reports and cards. */
import type { Share } from '../shared/metrics.ts';

/** `85.63 %` */
export function formatPercent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

/** `11,173,962` */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

/** `84.93 to 86.30 %` */
export function formatInterval([low, high]: readonly [number, number]): string {
  return `${(low * 100).toFixed(2)} to ${formatPercent(high)}`;
}

/** `85.63 % (84.93 to 86.30 %)`; a dash where there is nothing to tell. */
export function formatShare(share: Share | null): string {
  return share === null ? '–' : `${formatPercent(share.value)} (${formatInterval(share.interval)})`;
}
