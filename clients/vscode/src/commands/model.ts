import * as vscode from 'vscode';
import { change, section } from '../configuration';
import { groups } from '../models';
import type { Model } from '../protocol';
import type { Server } from '../server';
import { asked } from '../telling';

const OTHER: vscode.QuickPickItem = {
  label: '$(edit) Another name…',
  description: 'OWNER/NAME or OWNER/NAME:REVISION on the hub',
};
const FOLDER: vscode.QuickPickItem = {
  label: '$(folder) A folder…',
  description: 'with config.json, tokenizer.json and safetensors files',
};

/** Choose a model: it becomes the setting. The server asks before it downloads one, and shows how far it is. */
export async function chooseModel(server: Server): Promise<void> {
  const models = await asked(server, (client) => client.command<Model[]>('starfill.models'));
  if (!models) return;
  const chosen = await vscode.window.showQuickPick([...items(models), separator('Others'), OTHER, FOLDER], {
    title: 'Starfill: the model',
    placeHolder: 'Larger models suggest better and slower',
    matchOnDescription: true,
  });
  const name = chosen === OTHER ? await typed() : chosen === FOLDER ? await folder() : chosen?.label;
  if (name) await change('model', name);
}

function items(models: Model[]): vscode.QuickPickItem[] {
  return groups(models).flatMap(({ title, rows }) => [separator(title), ...rows]);
}

function separator(label: string): vscode.QuickPickItem {
  return { label, kind: vscode.QuickPickItemKind.Separator };
}

async function typed(): Promise<string | undefined> {
  const name = await vscode.window.showInputBox({
    title: 'Starfill: the model',
    prompt: 'A GPTQ or safetensors checkpoint on the hub: OWNER/NAME or OWNER/NAME:REVISION',
    value: section().get('model', ''),
  });
  return name?.trim();
}

async function folder(): Promise<string | undefined> {
  const folders = await vscode.window.showOpenDialog({
    canSelectFiles: false,
    canSelectFolders: true,
    openLabel: 'Use This Model',
  });
  return folders?.[0]?.fsPath;
}
