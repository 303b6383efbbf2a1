// Starfill in VS Code: find the server, start it, show what it does. Everything clever is in the server.
import * as vscode from 'vscode';
import { askSelection } from './commands/ask';
import { Doctor } from './commands/doctor';
import { installServer, offerServer } from './commands/install';
import { showMenu } from './commands/menu';
import { chooseModel } from './commands/model';
import { toggle, toggleFile, toggleLanguage } from './commands/switches';
import { whyNoSuggestion } from './commands/why';
import { onInterpreterChange } from './python';
import { Server } from './server';
import { StatusBar } from './statusBar';

let server: Server | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('Starfill', { log: true });
  const ours = (server = new Server(vscode.Uri.joinPath(context.globalStorageUri, 'environment').fsPath, log));
  const status = new StatusBar(ours);
  const doctor = new Doctor(ours);
  const commands: Record<string, () => unknown> = {
    showMenu: () => showMenu(status),
    toggle,
    toggleLanguage,
    toggleFile: () => toggleFile(ours).then(() => status.refresh()),
    whyNoSuggestion: () => whyNoSuggestion(ours),
    askSelection: () => askSelection(ours),
    chooseModel: () => chooseModel(ours),
    installServer: () => installServer(ours),
    restartServer: () => ours.restart(),
    stopServer: () => ours.stop(),
    doctor: () => doctor.check(),
    showLog: () => log.show(),
    openSettings: () => vscode.commands.executeCommand('workbench.action.openSettings', `@ext:${context.extension.id}`),
  };
  context.subscriptions.push(
    log,
    doctor,
    status,
    ...Object.entries(commands).map(([name, run]) => vscode.commands.registerCommand(`starfill.${name}`, run)),
    ours.onReport(({ state }) => state === 'missing' && offerServer(ours)),
    vscode.workspace.onDidChangeConfiguration(
      (event) => event.affectsConfiguration('starfill.server.path') && ours.restart(),
    ),
    vscode.workspace.onDidGrantWorkspaceTrust(() => restartIfMoved(ours)),
  );
  void ours.restart();
  void onInterpreterChange(() => restartIfMoved(ours)).then(
    (following) => following && context.subscriptions.push(following),
  );
}

export async function deactivate(): Promise<void> {
  await server?.stop();
}

/** Another environment was selected: it matters only if it has a server of its own. */
async function restartIfMoved(server: Server): Promise<void> {
  const found = await server.find();
  const program = found && 'program' in found ? found.program : undefined;
  if (program !== server.program) await server.restart();
}
