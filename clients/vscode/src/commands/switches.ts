// Turning suggestions on and off: everywhere and for a language by a setting, for a file in this session.
import { change, section } from '../configuration';
import type { Server } from '../server';
import { asked, editor } from '../telling';

export async function toggle(): Promise<void> {
  await change('enabled', !section().get('enabled', true));
}

export async function toggleLanguage(): Promise<void> {
  const language = editor()?.document.languageId;
  if (!language) return;
  const disabled = section().get<string[]>('disabledLanguages', []);
  const others = disabled.filter((each) => each !== language);
  await change('disabledLanguages', others.length < disabled.length ? others : [...disabled, language]);
}

export async function toggleFile(server: Server): Promise<void> {
  const uri = editor()?.document.uri.toString();
  if (!uri) return;
  await asked(server, (client) => client.command('starfill.setEnabled', { scope: 'file', uri, enabled: null }));
}
