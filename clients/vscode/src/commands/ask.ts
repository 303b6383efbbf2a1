import * as vscode from 'vscode';
import type { Server } from '../server';
import { asked, editor } from '../telling';

/** What the user wants of the selection, in their own words; without a selection, of the function around the cursor. */
export async function askSelection(server: Server): Promise<void> {
  const active = editor();
  if (!active) return;
  const { document, selection } = active;
  const instruction = await vscode.window.showInputBox({
    title: selection.isEmpty ? 'Starfill: the function at the cursor' : 'Starfill: the selection',
    prompt: 'What should be done with it?',
    placeHolder: 'Use pathlib',
  });
  if (!instruction?.trim()) return;
  await asked(server, (client) => {
    const uri = document.uri.toString();
    const range = client.code2ProtocolConverter.asRange(selection);
    return client.command('starfill.instruct', { uri, range, instruction });
  });
}
