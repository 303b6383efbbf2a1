// The server's settings, as it declares them, into package.json; with --check only whether they are there.
//   npm run settings [-- --check]      STARFILL_PYTHON: a Python that has Starfill installed
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const OWN = /^starfill\.(server|trace)\./; // the extension's own settings, written by hand
// A workspace never names a key; an engine it may, and is restricted in that until it is trusted.
const SCOPES = {
  'starfill.engine.url': 'machine-overridable',
  'starfill.engine.apiKeyEnv': 'machine',
  'starfill.engine.apiKeyFile': 'machine',
};

const at = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const repository = at('../../../.venv/bin/python');
const python = process.env.STARFILL_PYTHON ?? (existsSync(repository) ? repository : 'python3');
const servers = JSON.parse(execFileSync(python, ['-m', 'starfill.config.reference', '--json'], { encoding: 'utf8' }));

const file = at('../package.json');
const before = readFileSync(file, 'utf8');
const manifest = JSON.parse(before);
const configuration = manifest.contributes.configuration;
// The settings editor shows what stands between backticks as code in Markdown only.
const shown = Object.entries(servers).map(([name, { description, ...rest }]) => [
  name,
  { ...rest, ...(SCOPES[name] && { scope: SCOPES[name] }), markdownDescription: description },
]);
const own = Object.entries(configuration.properties).filter(([name]) => OWN.test(name));
configuration.properties = Object.fromEntries([...shown, ...own]);

const inside = JSON.stringify(configuration.properties, null, 2).replaceAll('\n', '\n      ');
const begin = before.indexOf('{', before.indexOf('"properties"', before.indexOf('"configuration"')));
const after = before.slice(0, begin) + inside + before.slice(endOfObject(before, begin));
if (after === before) {
  console.log('package.json has the settings of the server.');
} else if (process.argv.includes('--check')) {
  console.error("package.json doesn't have the settings of the server: run `npm run settings`.");
  process.exitCode = 1;
} else {
  writeFileSync(file, after);
  console.log('package.json now has the settings of the server.');
}

/** Where the object that begins at `begin` ends: only this object is rewritten, the rest keeps its layout. */
function endOfObject(text, begin) {
  let depth = 0;
  for (const token of text.slice(begin).matchAll(/"(?:\\.|[^"\\])*"|[{}]/g)) {
    depth += token[0] === '{' ? 1 : token[0] === '}' ? -1 : 0;
    if (depth === 0) return begin + token.index + 1;
  }
  throw new Error('package.json ends too soon');
}
