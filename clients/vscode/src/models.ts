// The models that can be chosen, as rows of a list. Pure.
import type { Model } from './protocol';

export interface Row {
  label: string;
  description: string;
  detail: string;
}

export interface Group {
  title: string;
  rows: Row[];
}

const TITLES: [Model['where'], string][] = [
  ['bundled', 'Comes with Starfill'],
  ['here', 'On this machine'],
  ['known', 'To download: you are asked first'],
];

export function groups(models: Model[]): Group[] {
  return TITLES.map(([where, title]) => ({
    title,
    rows: models.filter((model) => model.where === where).map(row),
  })).filter(({ rows }) => rows.length);
}

function row({ name, bytes, current }: Model): Row {
  const description = [bytes === null ? '' : size(bytes), current ? 'in use' : ''].filter(Boolean).join(' · ');
  return { label: name, description, detail: '' };
}

export function size(bytes: number): string {
  return bytes < 1e9 ? `${Math.max(1, Math.round(bytes / 1e6))} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
