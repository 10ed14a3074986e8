// WebSockets to hubs, by the numbers that the node core gives them. The core decides which hub is dialled, and when.
//
// A worker may hold them for as long as it lives; a dial that finds nobody is ended after OPEN_MS.
import {socketOf} from "./config";

const OPEN_MS = 10_000;
const WAITING_MAX = 256 * 1024;  // bytes; what comes beyond is dropped, as newer states will replace it
const MESSAGE_MAX = 256 * 1024;
const NEVER_OPENED = 0, ABNORMAL = 1006;

export interface SocketEvents {
  opened(socket: number): void;
  closed(socket: number, code: number, words: string): void;
  received(socket: number, bytes: Uint8Array): void;
}

interface Entry { readonly web: WebSocket; opened: boolean; timer: ReturnType<typeof setTimeout> }

export class Sockets {
  dropped = 0;
  private readonly entries = new Map<number, Entry>();

  constructor(private readonly events: SocketEvents) {}

  dial(socket: number, origin: string): void {
    let web: WebSocket;
    try {
      web = new WebSocket(socketOf(origin));
    } catch (error) {
      queueMicrotask(() => this.events.closed(socket, NEVER_OPENED, String(error)));
      return;
    }
    web.binaryType = "arraybuffer";
    const entry: Entry = {web, opened: false, timer: setTimeout(() => this.end(socket, NEVER_OPENED, "no answer"), OPEN_MS)};
    this.entries.set(socket, entry);
    web.onopen = () => {
      clearTimeout(entry.timer);
      entry.opened = true;
      this.events.opened(socket);
    };
    web.onmessage = ({data}: MessageEvent<unknown>) => {
      const fits = data instanceof ArrayBuffer && data.byteLength <= MESSAGE_MAX;
      if (fits) this.events.received(socket, new Uint8Array(data));
      else this.end(socket, ABNORMAL, "the hub sent what is no message");
    };
    // A socket that never opened has a code of 1006 and no words.
    web.onclose = ({code, reason}) => this.end(socket, entry.opened || code !== ABNORMAL ? code : NEVER_OPENED, reason);
  }

  send(socket: number, bytes: Uint8Array): void {
    const web = this.entries.get(socket)?.web;
    if (web?.readyState !== WebSocket.OPEN || web.bufferedAmount > WAITING_MAX) this.dropped += 1;
    else web.send(bytes);
  }

  // Whether too much waits to be sent, for each socket.
  blocked(): [number, boolean][] {
    return [...this.entries].map(([socket, {web}]) => [socket, web.bufferedAmount > WAITING_MAX / 4]);
  }

  // Closes it, and reports nothing.
  close(socket: number, words: string): void {
    const entry = this.entries.get(socket);
    if (!entry) return;
    this.entries.delete(socket);
    clearTimeout(entry.timer);
    entry.web.onopen = entry.web.onmessage = entry.web.onclose = null;
    // A browser lets a page say 1000 or 3000 to 4999, and 123 bytes.
    entry.web.close(1000, words.replace(/[^ -~]/g, "").slice(0, 123));
  }

  private end(socket: number, code: number, words: string): void {
    if (!this.entries.has(socket)) return;
    this.close(socket, "");
    this.events.closed(socket, code, words);
  }
}
