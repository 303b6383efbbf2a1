import { homedir } from 'node:os';
import * as vscode from 'vscode';
import { filledIn } from './settings';

const SECTION = 'starfill';

export function section(): vscode.WorkspaceConfiguration {
  return vscode.workspace.getConfiguration(SECTION);
}

/** The setting `starfill.server.path`. The folder's name isn't filled in where it would name an untrusted program. */
export function serverPath(): string {
  const folder = vscode.workspace.isTrusted ? vscode.workspace.workspaceFolders?.[0]?.uri.fsPath : undefined;
  return filledIn(section().get('server.path', ''), { home: homedir(), folder, env: process.env });
}

/** Changes a setting where it is set now; where it isn't set, for the user. */
export async function change(name: string, value: unknown): Promise<void> {
  const set = section().inspect(name);
  const folders = set?.workspaceFolderValue !== undefined;
  const target = folders
    ? vscode.ConfigurationTarget.WorkspaceFolder
    : set?.workspaceValue !== undefined
      ? vscode.ConfigurationTarget.Workspace
      : vscode.ConfigurationTarget.Global;
  await section().update(name, value, target);
}
