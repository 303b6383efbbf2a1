import * as vscode from 'vscode';
import type { Enabled } from './protocol';
import { appearance, type Report } from './report';
import type { Server } from './server';

const APPLYING = 150; // milliseconds: the server has read the settings and goes by them a moment later

export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('starfill.status', vscode.StatusBarAlignment.Right, 100);
  private readonly disposables: vscode.Disposable[];
  private report: Report = { state: 'stopped', message: '' };
  private file: Enabled | undefined;

  constructor(private readonly server: Server) {
    this.item.name = 'Starfill';
    this.item.command = 'starfill.showMenu';
    this.disposables = [
      this.item,
      server.onReport((report) => this.follow(report)),
      server.onSettingsRead(() => setTimeout(() => this.refresh(), APPLYING)),
      vscode.window.onDidChangeActiveTextEditor(() => this.refresh()),
    ];
    this.show();
  }

  /** What is going on, as a sentence. */
  get sentence(): string {
    return appearance(this.report, this.file).sentence;
  }

  get state(): Report['state'] {
    return this.report.state;
  }

  /** The switches of the file that is being edited. */
  get switches(): Enabled | undefined {
    return this.file;
  }

  /** Ask the server about the file that is being edited. */
  async refresh(): Promise<void> {
    const uri = vscode.window.activeTextEditor?.document.uri.toString();
    this.file = uri
      ? await this.server.client?.command<Enabled>('starfill.enabled', { uri }).catch(() => undefined)
      : undefined;
    this.show();
  }

  dispose(): void {
    for (const each of this.disposables) each.dispose();
  }

  private follow(report: Report): void {
    const wasWorking = this.isWorking;
    this.report = report;
    if (this.isWorking && !wasWorking) void this.refresh();
    this.show();
  }

  private get isWorking(): boolean {
    return this.report.state === 'ready' || this.report.state === 'busy';
  }

  private show(): void {
    const { text, sentence, background } = appearance(this.report, this.file);
    this.item.text = text;
    this.item.tooltip = sentence;
    this.item.accessibilityInformation = { label: sentence };
    this.item.backgroundColor = background && new vscode.ThemeColor(`statusBarItem.${background}Background`);
    this.item.show();
  }
}
