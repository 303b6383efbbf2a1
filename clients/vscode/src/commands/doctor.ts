// `starfill doctor`, shown while it writes, in a read-only document that can be copied into a bug report.
import * as vscode from 'vscode';
import { section } from '../configuration';
import { run } from '../process';
import type { Server } from '../server';

const URI = vscode.Uri.parse('starfill-doctor:/Starfill doctor.txt');
const WIDTH = '100'; // columns

export class Doctor implements vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  private readonly provider: vscode.Disposable;
  private text = '';

  constructor(private readonly server: Server) {
    this.provider = vscode.workspace.registerTextDocumentContentProvider(URI.scheme, {
      onDidChange: this.changed.event,
      provideTextDocumentContent: () => this.text,
    });
  }

  /** Checks the installation with the model in use. */
  async check(): Promise<void> {
    const found = await this.server.find();
    if (!found || 'problem' in found) {
      void vscode.window.showErrorMessage(`Starfill: ${found?.problem ?? 'the server is not installed.'}`);
      return;
    }
    const args = ['doctor', '--device', section().get('device', 'auto'), '--family', section().get('family', 'auto')];
    const model = section().get('model', 'bundled');
    if (model !== 'bundled') args.push('--model', model);
    this.text = '';
    this.write(`> ${found.program} ${args.join(' ')}\n`);
    await vscode.window.showTextDocument(URI, { preview: false });
    await vscode.window.withProgress(
      {
        location: vscode.ProgressLocation.Notification,
        title: 'Starfill: checking the installation',
        cancellable: true,
      },
      (_progress, token) => this.run(found.program, args, token),
    );
  }

  dispose(): void {
    this.provider.dispose();
    this.changed.dispose();
  }

  private async run(program: string, args: string[], token: vscode.CancellationToken): Promise<void> {
    const stopping = new AbortController();
    token.onCancellationRequested(() => stopping.abort());
    const env = { COLUMNS: WIDTH, NO_COLOR: '1', PYTHONIOENCODING: 'utf-8', PYTHONUNBUFFERED: '1' };
    try {
      const { code } = await run(program, args, { signal: stopping.signal, onLine: (line) => this.write(line), env });
      this.write(`\n${code === 0 ? 'All is well.' : stopping.signal.aborted ? 'Stopped.' : `It ended with ${code}.`}`);
    } catch (error) {
      this.write(String(error));
    }
  }

  private write(line: string): void {
    this.text += `${line}\n`;
    this.changed.fire(URI);
  }
}
