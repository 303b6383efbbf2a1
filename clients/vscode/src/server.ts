// The server's life: found, started, started again, stopped.
import { type ChildProcess, spawn } from 'node:child_process';
import * as vscode from 'vscode';
import { CloseAction, type CloseHandlerResult, State } from 'vscode-languageclient/node';
import { Client } from './client';
import { serverPath } from './configuration';
import { Crashes } from './crashes';
import { findServer, type Found } from './find';
import { isProgram, WINDOWS } from './process';
import { STATUS, type Status } from './protocol';
import { selectedInterpreter } from './python';
import { atMostOneQueued } from './queue';
import type { Report } from './report';

const STARTING: Status = { state: 'starting', message: '', model: '', device: '' };
const LEAVING = 2000; // milliseconds for the server to answer and to end
const SHOW_LOG = 'Show Log';

export class Server {
  private running: Running | undefined;
  private crashes = new Crashes();
  private readonly told = new vscode.EventEmitter<Report>();
  private readonly configured = new vscode.EventEmitter<void>();

  readonly onReport = this.told.event;
  /** The server has asked for the settings. */
  readonly onSettingsRead = this.configured.event;

  constructor(
    readonly privateEnvironment: string,
    readonly log: vscode.LogOutputChannel,
  ) {}

  private readonly replace = atMostOneQueued(async () => {
    await this.halt();
    await this.start();
  });

  /** Starts the server, or stops it and starts it again; calls meanwhile lead to one more start. */
  restart(): Promise<void> {
    this.crashes = new Crashes();
    this.running?.abandonStart();
    return this.replace();
  }

  async stop(): Promise<void> {
    await this.halt();
    this.tell({ state: 'stopped', message: '' });
  }

  /** The connection to the server, for as long as it answers. */
  get client(): Client | undefined {
    return this.running?.client.isRunning() ? this.running.client : undefined;
  }

  get program(): string | undefined {
    return this.running?.program;
  }

  find(): Promise<Found> {
    return findServer({
      setting: serverPath(),
      interpreter: selectedInterpreter,
      searchPath: process.env['PATH'] ?? '',
      privateEnvironment: this.privateEnvironment,
      windows: WINDOWS,
      isProgram,
    });
  }

  tell(report: Report): void {
    this.told.fire(report);
  }

  private async start(): Promise<void> {
    this.tell(STARTING);
    const found = await this.find();
    if (!found) return this.tell({ state: 'missing', message: 'the server is not installed' });
    if ('problem' in found) return this.fail(found.problem);
    this.log.info(`The server is ${found.program}, from ${found.from}`);
    const running: Running = new Running(found.program, this.log, {
      report: (report) => this.running === running && this.tell(report),
      settingsRead: () => this.configured.fire(),
      fail: (sentence) => this.running === running && this.fail(sentence),
      mayRestart: () => this.running === running && this.crashes.mayRestart(Date.now()),
    });
    this.running = running;
    await running.start();
  }

  private async halt(): Promise<void> {
    const running = this.running;
    this.running = undefined;
    await running?.stop();
  }

  private fail(sentence: string): void {
    this.log.error(sentence);
    this.tell({ state: 'failed', message: sentence });
    void vscode.window.showErrorMessage(`Starfill: ${sentence}`, SHOW_LOG).then((choice) => choice && this.log.show());
  }
}

interface Owner {
  report: (report: Report) => void;
  settingsRead: () => void;
  fail: (sentence: string) => void;
  mayRestart: () => boolean;
}

/** One client, with the process that it talks to. After a crash the client starts a new process itself. */
class Running {
  readonly client: Client;
  private process: ChildProcess | undefined;
  private lastLine = '';

  constructor(
    readonly program: string,
    private readonly log: vscode.LogOutputChannel,
    private readonly owner: Owner,
  ) {
    this.client = new Client(() => this.spawned(), log, {
      closed: () => this.closed(),
      settingsRead: owner.settingsRead,
      wrote: (line) => log.info((this.lastLine = line)),
    });
    this.client.onNotification(STATUS, (status: Status) => owner.report(status));
    this.client.onDidChangeState(({ newState }) => {
      if (newState === State.Starting) owner.report(STARTING);
      if (newState === State.StartFailed) void this.startFailed();
    });
  }

  async start(): Promise<void> {
    await this.client.start().catch((error: unknown) => this.log.error(String(error)));
  }

  /** Ends a process that hasn't answered yet, so that nobody has to wait for it. */
  abandonStart(): void {
    if (!this.client.isRunning()) this.process?.kill();
  }

  async stop(): Promise<void> {
    const ended = this.process && end(this.process);
    await this.client.dispose(LEAVING).catch((error: unknown) => this.log.warn(String(error)));
    const killing = setTimeout(() => this.process?.kill('SIGKILL'), LEAVING);
    await ended;
    clearTimeout(killing);
  }

  private async spawned(): Promise<ChildProcess> {
    const folder = vscode.workspace.workspaceFolders?.[0]?.uri;
    const child = spawn(this.program, ['--stdio'], { cwd: folder?.scheme === 'file' ? folder.fsPath : undefined });
    child.on('exit', (code, signal) => this.log.info(`The server has ended with ${signal ?? code}`));
    child.on('error', (error) => (this.lastLine = error.message));
    await new Promise((resolve, reject) => child.on('spawn', resolve).on('error', reject));
    this.process = child;
    return child;
  }

  private closed(): CloseHandlerResult {
    const wasReady = this.client.isRunning(); // else its start fails, which is told there
    if (wasReady && this.owner.mayRestart()) {
      return {
        action: CloseAction.Restart,
        message: 'The server has ended by itself and is started again',
        handled: true,
      };
    }
    if (wasReady)
      this.owner.fail('The server has ended by itself again and again; restart it when you have read the log.');
    return { action: CloseAction.DoNotRestart, handled: true };
  }

  private async startFailed(): Promise<void> {
    const ended = this.process && end(this.process);
    this.process?.kill();
    await ended; // so that what it has written last is here
    this.owner.fail(
      `The server ${this.program} could not be started: ${this.lastLine || 'it said nothing about the reason'}.`,
    );
  }
}

/** Waits until a process has ended and all that it has written is read. */
function end(child: ChildProcess): Promise<unknown> {
  const isOver = child.exitCode !== null || child.signalCode !== null;
  return isOver && child.stderr?.closed !== false
    ? Promise.resolve()
    : new Promise((resolve) => child.once('close', resolve));
}
