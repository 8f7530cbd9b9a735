/** How a report looks: one column, light or dark as the reader likes it, from 320 pixels on. */
import { CHART_STYLE } from './chart.ts';

export const REPORT_STYLE = `
:root { color-scheme: light dark; --text: #1a1a1a; --quiet: #555; --line: #d5d5d5; --ground: #fff; --accent: #2b6cb0 }
@media (prefers-color-scheme: dark) {
  :root { --text: #e8e8e8; --quiet: #aaa; --line: #3a3d42; --ground: #14161a; --accent: #63b3ed }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 66rem; font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--ground) }
h1 { font-size: 1.6rem; margin: 0.5rem 0 } h2 { font-size: 1.2rem; margin: 2.2rem 0 0.6rem }
p { max-width: 44rem; margin: 0.5rem 0 }
.quiet, figcaption { color: var(--quiet) }
.headline { font-size: 1.15rem }
code, pre { font: 0.85rem/1.45 ui-monospace, monospace; overflow-wrap: anywhere }
pre { white-space: pre-wrap; padding: 0.7rem; border: 1px solid var(--line); border-radius: 4px }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); gap: 1rem }
.charts figure { margin: 0; max-width: 28rem } svg { display: block; width: 100%; height: auto }
.wide { overflow-x: auto } .wide:focus-visible { outline: 2px solid var(--accent) }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums }
caption { text-align: start; padding: 0.3rem 0; color: var(--quiet) }
th, td { padding: 0.25rem 0.6rem; text-align: end; border-bottom: 1px solid var(--line); white-space: nowrap }
th { font-weight: 600 } tbody th, thead th:first-child { text-align: start }
.facts td { text-align: start; white-space: normal; overflow-wrap: anywhere } .facts th { vertical-align: top }
.mistakes { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.5rem, 1fr)); gap: 1rem; padding: 0; margin: 0; list-style: none }
.mistakes img { width: 96px; height: 96px; object-fit: contain; image-rendering: pixelated; display: block }
.mistakes li { font-size: 0.8rem; line-height: 1.35 }
.bar { display: flex; height: 1.1rem; border-radius: 3px; overflow: hidden; max-width: 44rem; margin: 0.6rem 0 }
.bar i { min-width: 1px }
.k0 { background: #2b6cb0 } .k1 { background: #b7500f } .k2 { background: #4a8a5a } .k3 { background: #888 }
.swatch { display: inline-block; width: 0.8em; height: 0.8em; margin-inline-end: 0.4em; border-radius: 2px }
details { margin: 0.6rem 0 } summary { cursor: pointer; padding: 0.3rem 0 }
${CHART_STYLE}`;
