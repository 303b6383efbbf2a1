import * as vscode from 'vscode';
import type { StatusBar } from '../statusBar';

interface Entry extends vscode.QuickPickItem {
  command?: string;
}

/** What a click on the status bar offers; its title says what is going on. */
export async function showMenu(status: StatusBar): Promise<void> {
  const chosen = await vscode.window.showQuickPick<Entry>(entries(status), {
    title: status.sentence,
    placeHolder: 'What to do',
  });
  if (chosen?.command) await vscode.commands.executeCommand(chosen.command);
}

function entries(status: StatusBar): Entry[] {
  const server: Entry[] = [
    entry('$(debug-restart) Restart the server', 'starfill.restartServer'),
    entry('$(pulse) Check the installation', 'starfill.doctor'),
    entry('$(output) Show the log', 'starfill.showLog'),
    entry('$(gear) Settings', 'starfill.openSettings'),
  ];
  if (status.state === 'missing')
    return [entry('$(cloud-download) Install the server…', 'starfill.installServer'), ...server];
  return [...switches(status), ...asking(), separator('Server'), ...server];
}

function switches(status: StatusBar): Entry[] {
  const language = vscode.window.activeTextEditor?.document.languageId;
  const { all = true, language: here = true, file = true } = status.switches ?? {};
  const rows = [entry(`${verb(all)} suggestions`, 'starfill.toggle')];
  if (language) {
    rows.push(entry(`${verb(here)} suggestions for ${language}`, 'starfill.toggleLanguage'));
    rows.push(entry(`${verb(file)} suggestions for this file`, 'starfill.toggleFile'));
  }
  return [separator('Suggestions'), ...rows, entry('$(question) Why no suggestion here?', 'starfill.whyNoSuggestion')];
}

function asking(): Entry[] {
  return [
    separator('Model'),
    entry('$(comment) Ask about the selection…', 'starfill.askSelection'),
    entry('$(package) Choose a model…', 'starfill.chooseModel'),
  ];
}

function verb(on: boolean): string {
  return on ? '$(circle-slash) Turn off' : '$(star-full) Turn on';
}

function entry(label: string, command: string): Entry {
  return { label, command };
}

function separator(label: string): Entry {
  return { label, kind: vscode.QuickPickItemKind.Separator };
}
