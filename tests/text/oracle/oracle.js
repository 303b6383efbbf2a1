// Applies edits with vscode-languageserver-textdocument: one JSON request a line in, one JSON answer a line out.
//
// Request {text, steps: [[{range?, text}, ...], ...], probes: [position, ...]}; answer: one entry a step, with the text,
// the number of lines, the offset of every probe and the position of every offset. Offsets count UTF-16 units.
//
// The document is made anew after each change, since its incremental line table goes astray when a range lies outside
// the document. Where a position is in the middle of a character, we mean before it.
import { createInterface } from "node:readline";
import { TextDocument } from "vscode-languageserver-textdocument";

const fresh = (text) => TextDocument.create("file:///x", "x", 0, text);

function snapped(document, position) {
  const offset = document.offsetAt(position);
  return /[\ud800-\udbff][\udc00-\udfff]/.test(document.getText().slice(Math.max(offset - 1, 0), offset + 1)) ? offset - 1 : offset;
}

function apply(document, change) {
  if (change.range === undefined) return fresh(change.text);
  const [start, end] = [change.range.start, change.range.end].map((position) => document.positionAt(snapped(document, position)));
  TextDocument.update(document, [{ range: { start, end }, text: change.text }], 0);
  return fresh(document.getText());
}

for await (const line of createInterface({ input: process.stdin })) {
  const { text, steps, probes } = JSON.parse(line);
  let document = fresh(text);
  const answers = steps.map((changes) => {
    document = changes.reduce(apply, document);
    const all = [...Array(document.getText().length + 1).keys()];
    return {
      text: document.getText(),
      lines: document.lineCount,
      offsets: probes.map((position) => snapped(document, position)),
      positions: all.map((offset) => [document.positionAt(offset).line, document.positionAt(offset).character]),
    };
  });
  console.log(JSON.stringify(answers));
}
