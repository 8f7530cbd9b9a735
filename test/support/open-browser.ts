/** The one browser of all browser tests (chromium-setup.ts). */
import { chromium, type Browser } from 'playwright-core';
import { inject } from 'vitest';

/** To be closed after the suite: that ends its contexts, and leaves the browser to the others. */
export function openBrowser(): Promise<Browser> {
  return chromium.connect(inject('browserEndpoint'));
}
