// Making a private environment for the server: asked for, shown, stopped on demand.
import * as vscode from 'vscode';
import { section } from '../configuration';
import { InstallError, makeEnvironment } from '../environment';
import type { Server } from '../server';

const MAKE = 'Make It';
const SETTING = 'I Have One…';
const OFFER = 'Starfill needs its server, a Python program. Make a private environment for it?';
const QUESTION = "Make a private environment for Starfill's server, or bring it up to date?";
const DETAIL = 'That takes some minutes, downloads PyTorch with pip (on Linux some GB), and touches no other Python.';

let installing = false;

/** Nothing was found: offers to make the environment, in a corner of the window. */
export async function offerServer(server: Server): Promise<void> {
  if (installing) return; // it failed or was stopped, and the user knows
  await decided(server, await vscode.window.showInformationMessage(`${OFFER} ${DETAIL}`, MAKE, SETTING));
}

/** The user has asked for the environment. */
export async function installServer(server: Server): Promise<void> {
  await decided(
    server,
    await vscode.window.showInformationMessage(QUESTION, { modal: true, detail: DETAIL }, MAKE, SETTING),
  );
}

async function decided(server: Server, choice: string | undefined): Promise<void> {
  if (choice === SETTING) await vscode.commands.executeCommand('workbench.action.openSettings', 'starfill.server.path');
  if (choice === MAKE && !installing) await install(server);
}

async function install(server: Server): Promise<void> {
  installing = true;
  await server.stop(); // a program that runs can't be replaced everywhere
  server.tell({ state: 'installing', message: '' });
  const problem = await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: 'Starfill: installing the server', cancellable: true },
    (progress, token) => attempt(server, progress, token),
  );
  if (problem)
    void vscode.window
      .showErrorMessage(`Starfill: ${problem}`, 'Show Log')
      .then((choice) => choice && server.log.show());
  await server.restart();
  installing = false;
}

/** What went wrong, as a sentence; nothing where the user has stopped it. */
async function attempt(
  server: Server,
  progress: vscode.Progress<{ message: string }>,
  token: vscode.CancellationToken,
): Promise<string | undefined> {
  const stopping = new AbortController();
  token.onCancellationRequested(() => stopping.abort());
  const step = (message: string) => {
    progress.report({ message });
    server.tell({ state: 'installing', message: `installing the server: ${message}` });
  };
  try {
    await makeEnvironment(server.privateEnvironment, section().get('server.install', 'starfill'), {
      step,
      log: (line) => server.log.info(line),
      signal: stopping.signal,
    });
  } catch (error) {
    if (!stopping.signal.aborted) return error instanceof InstallError ? error.message : String(error);
  }
  return undefined;
}
