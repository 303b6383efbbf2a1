import * as vscode from 'vscode';
import type { Client } from './client';
import type { Server } from './server';

/** The answer of the server; where there is none, the user is told why, and nothing comes back. */
export async function asked<T>(server: Server, question: (client: Client) => Promise<T>): Promise<T | undefined> {
  const client = server.client;
  if (!client) {
    void vscode.window
      .showWarningMessage('Starfill: the server is not running.', 'Restart')
      .then((choice) => choice && server.restart());
    return undefined;
  }
  try {
    return await question(client);
  } catch (error) {
    void vscode.window.showErrorMessage(`Starfill: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** The editor that is being typed in; without one the user is told. */
export function editor(): vscode.TextEditor | undefined {
  const active = vscode.window.activeTextEditor;
  if (!active) void vscode.window.showInformationMessage('Starfill: open a file first.');
  return active;
}
