/**
 * One browser and one server for all browser tests: to start them costs more than most tests. The server has the shipped
 * model and nobody changes it; every test has a browser context of its own.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';
import type { TestProject } from 'vitest/node';
import { findChromium } from './chromium-path.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Of the one browser, for `chromium.connect`. */
    browserEndpoint: string;
    /** Of a server with the shipped model, for example `http://127.0.0.1:40123`. */
    shippedServerUrl: string;
  }
}

export default async function setUpChromium(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const executablePath = findChromium();
  // The suites are skipped then, and say why.
  if (executablePath === undefined) return undefined;
  const store = await mkdtemp(join(tmpdir(), 'resnet18-edge-'));
  const [browser, server] = await Promise.all([
    chromium.launchServer({ executablePath, args: ['--no-sandbox'] }),
    startShippedServer(store),
  ]);
  project.provide('browserEndpoint', browser.wsEndpoint());
  project.provide('shippedServerUrl', server.url);
  return async () => {
    await browser.close();
    const ended = once(server.process, 'exit');
    server.process.kill();
    await ended;
    await rm(store, { recursive: true });
  };
}

/** `npm start` with an empty store. */
async function startShippedServer(store: string): Promise<{ url: string; process: ChildProcess }> {
  const child = spawn(process.execPath, ['serve/node.ts', '--store', store], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, PORT: '0', HOST: '127.0.0.1' },
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /^(http:\S+) answers with /.exec(line)?.[1];
    if (url !== undefined) return { url, process: child };
  }
  throw new Error('the server of the browser tests did not start; its own words are above');
}
