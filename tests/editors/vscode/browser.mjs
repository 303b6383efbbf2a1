// Chromium, for tests that are written in Python: each line of stdin is a call, each line of stdout its answer.
//   {"id", "page": name, "call": "keyboard.press", "args": [...]}  ->  {"id", "value"} or {"id", "error"}
// A call is a method of playwright's page, or one of `own`. A page is made when it is first named. Calls run at once, side by
// side; a caller that wants them one after the other waits for the answers.
//   node browser.mjs PLAYWRIGHT_FOLDER CHROMIUM PROFILE_FOLDER WIDTH HEIGHT PATIENCE_IN_MILLISECONDS
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [playwright, executablePath, profile, width, height, patience] = process.argv.slice(2);
const { chromium } = createRequire(`${playwright}/`)('playwright-core');
const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  viewport: { width: Number(width), height: Number(height) },
  permissions: ['clipboard-read', 'clipboard-write'],
  args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'], // no sandbox: containers have none
});
context.setDefaultTimeout(Number(patience));
const pages = new Map();

const own = {
  async typeAt(page, text, perSecond) { // as a typist does it: on time, whatever the page does
    const start = performance.now();
    const keys = [];
    let taken = 0;
    for (let i = 0; i < text.length; i += 1) {
      await new Promise((done) => setTimeout(done, Math.max(0, start + (i * 1000) / perSecond - performance.now())));
      const key = text[i] === '\n' ? page.keyboard.press('Enter') : page.keyboard.type(text[i]);
      keys.push(key.then(() => { taken += 1; }));
    }
    const behind = keys.length - taken;
    await Promise.all(keys);
    return behind;
  },
};

async function answer({ page: name, call, args }) {
  if (!pages.has(name)) pages.set(name, context.newPage());
  const page = await pages.get(name);
  if (own[call]) return own[call](page, ...args);
  const names = call.split('.');
  const method = names.pop();
  const object = names.reduce((value, key) => value[key], page);
  const value = await object[method](...args);
  return ['evaluate', 'title', 'url'].includes(method) ? value : null; // others give what can't be written as JSON
}

for await (const line of createInterface({ input: process.stdin })) {
  const call = JSON.parse(line);
  answer(call).then(
    (value) => ({ id: call.id, value: value ?? null }),
    (error) => ({ id: call.id, error: error.message }),
  ).then((message) => process.stdout.write(`${JSON.stringify(message)}\n`));
}
await context.close();
