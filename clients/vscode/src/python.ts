// The environment that is selected in the Python extension, by that extension's public API.
import * as vscode from 'vscode';

const EXTENSION = 'ms-python.python';
const PATIENCE = 10_000; // milliseconds; it may be starting itself

interface Environments {
  getActiveEnvironmentPath(resource?: vscode.Uri): { path: string };
  resolveEnvironment(path: { path: string }): Promise<{ executable: { uri?: vscode.Uri } } | undefined>;
  onDidChangeActiveEnvironmentPath: vscode.Event<unknown>;
}

/** The selected interpreter. None in a folder that isn't trusted: its environment may hold anything. */
export async function selectedInterpreter(): Promise<string | undefined> {
  if (!vscode.workspace.isTrusted) return undefined;
  return Promise.race([
    resolved(),
    new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), PATIENCE)),
  ]);
}

/** Calls back when another environment is selected. */
export async function onInterpreterChange(changed: () => void): Promise<vscode.Disposable | undefined> {
  return (await environments())?.onDidChangeActiveEnvironmentPath(changed);
}

async function resolved(): Promise<string | undefined> {
  const python = await environments();
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
  const environment = await python?.resolveEnvironment(python.getActiveEnvironmentPath(folder)).catch(() => undefined);
  return environment?.executable.uri?.fsPath;
}

/** None where that extension isn't there, or fails to start: there are other places to look at. */
async function environments(): Promise<Environments | undefined> {
  const extension = vscode.extensions.getExtension<{ environments?: Environments }>(EXTENSION);
  return extension?.activate().then(
    (api) => api.environments,
    () => undefined,
  );
}
