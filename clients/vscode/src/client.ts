// The language client: which documents, which settings, where explanations are shown.
import type { Readable } from 'node:stream';
import { createInterface } from 'node:readline';
import * as vscode from 'vscode';
import {
  type CloseHandlerResult,
  ErrorAction,
  LanguageClient,
  type LanguageClientOptions,
  type ServerOptions,
} from 'vscode-languageclient/node';
import { forServer } from './settings';

const SCHEMES = ['file', 'untitled', 'vscode-notebook-cell', 'vscode-remote', 'vscode-vfs'];
const EXPLANATIONS = 'starfill'; // the scheme of documents that only the server has

export interface Owner {
  /** The connection has ended: is the server to be started again? */
  closed: () => CloseHandlerResult;
  /** The server has asked for the settings. */
  settingsRead: () => void;
  /** The server has written a line that is for the log. */
  wrote: (line: string) => void;
}

export class Client extends LanguageClient {
  constructor(server: ServerOptions, log: vscode.LogOutputChannel, owner: Owner) {
    super('starfill', 'Starfill', server, options(log, owner));
  }

  /** What is to be shown in any case is told by the owner, once and as a sentence. */
  override error(message: string, data?: unknown, show?: boolean | 'force'): void {
    super.error(message, data, show === 'force' ? false : show);
  }

  command<T>(command: string, ...parameters: unknown[]): Promise<T> {
    return this.sendRequest<T>('workspace/executeCommand', { command, arguments: parameters });
  }
}

function options(log: vscode.LogOutputChannel, owner: Owner): LanguageClientOptions {
  const lines = (stream: Readable) => createInterface({ input: stream }).on('line', (line) => owner.wrote(line));
  return {
    documentSelector: SCHEMES.map((scheme) => ({ scheme })),
    outputChannel: log,
    errorHandler: { error: () => ({ action: ErrorAction.Continue, handled: true }), closed: () => owner.closed() },
    initializationFailedHandler: () => false, // its failure is told when it shows in the state
    initializationOptions: () => forServer(vscode.workspace.getConfiguration().get('starfill')),
    stdioOptions: { stdout: lines, stderr: lines },
    middleware: {
      workspace: {
        configuration: async (parameters, token, next) => {
          const answers = await next(parameters, token);
          owner.settingsRead();
          return Array.isArray(answers) ? answers.map(forServer) : answers;
        },
        didChangeConfiguration: (_sections, next) => next(undefined), // the server then asks, and is answered above
      },
      window: {
        showDocument: async (parameters, token, next) => {
          const uri = vscode.Uri.parse(parameters.uri);
          if (uri.scheme !== EXPLANATIONS) return next(parameters, token);
          await vscode.window.showTextDocument(uri, { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true });
          return { success: true };
        },
      },
    },
  };
}
