// An event's words from its columns: the same that `inspect --events` prints. The packer compares these with what the
// semantic layer says and carries the words themselves where the two are not the same, so the page never shows others.
// Runs in Node and in the page.

import { eventText } from '../trace/event-text.js';
import type { TraceEvent } from '../trace/events.js';

const PRINTABLE = /^[\x20-\x7e]+$/;
/** Bytes that are looked at for characters. */
const QUOTED = 60;

/** An event whose data may be its first 64 bytes; `dataLength` is the whole length then. */
export type WordedEvent = Omit<TraceEvent, 'index'> & { readonly dataLength?: number };

export function rowWords(event: WordedEvent, device: string, register: string): string {
  const { kind, data } = event;
  const words = eventText(event);
  switch (kind) {
    case 'port-read':
    case 'port-write':
    case 'port-read-string':
    case 'port-write-string':
    case 'mmio-read':
    case 'mmio-write':
    case 'mmio-read-string':
    case 'mmio-write-string':
    case 'msr-read':
    case 'msr-write': {
      const bytes = kind === 'port-write' && event.size === 1 ? Uint8Array.of(event.value) : data;
      return `${device} ${register}: ${words}${quoted(bytes)}`;
    }
    case 'input':
      return words + quoted(data);
    default:
      return words;
  }
}

function quoted(data: Uint8Array): string {
  let text = '';
  const length = Math.min(data.length, QUOTED);
  for (let i = 0; i < length; i++) text += String.fromCharCode(data[i]!);
  return PRINTABLE.test(text) ? ` ${JSON.stringify(text)}` : '';
}
