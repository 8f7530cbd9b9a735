/** Figures of the process, under the names that Prometheus' own clients give them. */
import type { Registry } from '../observation/prometheus.ts';

export function watchProcess(registry: Registry): void {
  const startedSeconds = Date.now() / 1000 - process.uptime();
  registry.watch({
    name: 'process_resident_memory_bytes',
    help: 'Memory of the process.',
    read: () => process.memoryUsage.rss(),
  });
  registry.watch({
    name: 'nodejs_heap_size_used_bytes',
    help: 'Objects of JavaScript.',
    read: () => process.memoryUsage().heapUsed,
  });
  registry.watch({
    name: 'nodejs_external_memory_bytes',
    help: 'Bytes of buffers and of WebAssembly.',
    read: () => process.memoryUsage().external,
  });
  registry.watch({
    name: 'process_cpu_seconds_total',
    help: 'Processor time of the process.',
    type: 'counter',
    read() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  });
  registry.watch({
    name: 'process_start_time_seconds',
    help: 'When the process began, in seconds since 1970.',
    read: () => startedSeconds,
  });
}
