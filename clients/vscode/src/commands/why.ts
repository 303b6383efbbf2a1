import * as vscode from 'vscode';
import { LAST_COMPLETION, type LastCompletion } from '../protocol';
import type { Server } from '../server';
import { asked, editor } from '../telling';
import { explanation } from '../why';

export async function whyNoSuggestion(server: Server): Promise<void> {
  const uri = editor()?.document.uri.toString();
  if (!uri) return;
  const last = await asked(server, (client) => client.sendRequest<LastCompletion>(LAST_COMPLETION, { uri }));
  if (last) void vscode.window.showInformationMessage(`Starfill: ${explanation(last)}`);
}
