import type { LastCompletion } from './protocol';

/** Why there was no suggestion, and what the request cost. */
export function explanation(last: LastCompletion): string {
  const outcome = last.reason
    ? `no suggestion, because ${last.reason.replace(/\.$/, '')}.`
    : 'there was a suggestion when it was asked for last.';
  return [outcome, cost(last)].filter(Boolean).join(' ');
}

function cost(last: LastCompletion): string {
  const { source, model, device, promptTokens, cachedTokens, generatedTokens, totalMs } = last;
  switch (source) {
    case 'none':
      return '';
    case 'reuse':
      return 'It was the rest of the one before.';
    case 'prepared':
      return 'It was prepared while you were not typing.';
    case 'model': {
      const prompt = `${promptTokens} tokens of prompt (${cachedTokens} known already)`;
      return `${model} on ${device} read ${prompt} and wrote ${generatedTokens} in ${Math.round(totalMs)} ms.`;
    }
  }
}
