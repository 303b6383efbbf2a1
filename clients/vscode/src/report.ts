// What the status bar shows, from what is known of the server and of the file. Pure.
import type { Enabled, Status } from './protocol';

/** The server's own status, or why there is none to have. */
export type Report = Status | { state: 'missing' | 'installing' | 'stopped' | 'failed'; message: string };

export interface Appearance {
  text: string;
  /** What is going on, as a sentence; also what a screen reader says. */
  sentence: string;
  background: 'error' | 'warning' | undefined;
}

export function appearance(report: Report, file: Enabled | undefined): Appearance {
  switch (report.state) {
    case 'starting':
      return shown('$(loading~spin)', report.message || 'the server is starting');
    case 'loading':
      return shown('$(loading~spin)', loading(report), percentage(report));
    case 'installing':
      return shown('$(loading~spin)', report.message || 'the server is being installed');
    case 'paused':
      return shown('$(circle-slash)', report.message || 'suggestions are turned off');
    case 'ready':
    case 'busy':
      if (file && !file.enabled) return shown('$(circle-slash)', file.reason || 'no suggestions in this file');
      return shown(
        report.state === 'busy' ? '$(star-half)' : '$(star-full)',
        `${report.state}, ${report.message || working(report)}`,
        report.message && report.model, // who stands in for a serving engine that fails
      );
    case 'missing':
      return shown('$(star-empty)', report.message, '', 'warning');
    case 'stopped':
      return shown('$(star-empty)', report.message || 'the server is stopped');
    case 'failed':
    case 'error':
      return shown('$(warning)', report.message, '', 'error');
  }
}

function shown(icon: string, sentence: string, detail = '', background?: 'error' | 'warning'): Appearance {
  return { text: `${icon} Starfill${detail && ` ${detail}`}`, sentence: `Starfill: ${sentence}`, background };
}

function loading(status: Status): string {
  return `${status.message || 'loading the model'}${status.model && ` ${status.model}`} ${percentage(status)}`.trim();
}

function percentage(status: Status): string {
  return typeof status.progress === 'number' ? `${Math.floor(status.progress * 100)}%` : '';
}

function working(status: Status): string {
  return `model ${status.model}${status.device && ` on ${status.device}`}`;
}
