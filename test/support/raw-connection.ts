/** A connection that says what no HTTP client would: bytes at any pace, and nothing when an answer is expected. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface RawConnection {
  socket: Socket;
  /** All that was received, when the server has closed the connection. */
  ended: Promise<string>;
}

/** Destroyed after the test. */
export async function openConnection(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  onTestFinished(() => void socket.destroy());
  const ended = new Promise<string>((resolve) => {
    let text = '';
    socket.on('data', (data) => (text += data.toString('latin1')));
    // Written to after the server has left.
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
  await once(socket, 'connect');
  return { socket, ended };
}

/** Status, headers in lower case, and body of the one answer that was received. */
export function splitAnswer(text: string): { status: number; headers: Record<string, string>; body: string } {
  const [head = '', body = ''] = text.split('\r\n\r\n', 2);
  const [statusLine = '', ...lines] = head.split('\r\n');
  const headers = lines.map((line) => [line.split(': ', 1)[0]?.toLowerCase() ?? '', line.replace(/^[^:]*: /, '')]);
  return {
    status: Number(statusLine.split(' ')[1]),
    headers: Object.fromEntries(headers) as Record<string, string>,
    body,
  };
}
