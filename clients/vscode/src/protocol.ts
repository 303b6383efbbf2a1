// What the server says beyond the protocol of language servers.

export const STATUS = 'starfill/status';
export const LAST_COMPLETION = 'starfill/lastCompletion';

export interface Status {
  state: 'starting' | 'loading' | 'ready' | 'busy' | 'paused' | 'error';
  message: string;
  model: string;
  device: string;
  /** From 0 to 1 while something is loaded or downloaded, null where that isn't known. */
  progress?: number | null;
}

/** Whether there are suggestions in a file, and which of the three switches says no. */
export interface Enabled {
  enabled: boolean;
  all: boolean;
  language: boolean;
  file: boolean;
  reason: string | null;
}

export interface Model {
  name: string;
  where: 'bundled' | 'here' | 'known';
  bytes: number | null;
  current: boolean;
}

/** What the last request for a document came to; reason: why nothing was shown. */
export interface LastCompletion {
  reason: string | null;
  source: 'model' | 'prepared' | 'reuse' | 'none';
  promptTokens: number;
  cachedTokens: number;
  generatedTokens: number;
  totalMs: number;
  model: string;
  device: string;
}
