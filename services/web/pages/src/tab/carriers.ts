// DataChannels to other tabs. Workers have no RTCPeerConnection, so the page holds them, and passes bytes to and from the
// worker; the node core in the worker decides whom to link with, and when to let go.
//
//   const carriers = new Carriers(report, {iceServers, forbidden: 0});
//   carriers.handle(order);                     // from the worker: offer, accept, complete, send, close
//   report(event, transfer);                    // to the worker: described, opened, received, ...
//
// A channel is unordered and never repeats a message: messages are states, and the newest one counts. Descriptions are
// whole: candidates are gathered before anything is said, so that an attempt costs one message each way.
//
// Bounded: channels by CHANNELS_MAX, an attempt by ATTEMPT_MS, what a far end sends by BYTES_PER_SECOND and
// MESSAGES_PER_SECOND, what waits to be sent by WAITING_MAX. Each end of a channel closes its connection.
import type {TurnServer} from "./config";
import type {CarrierEvent, CarrierOrder} from "./messages";

const CHANNELS_MAX = 48;
const GATHER_MS = 2000;
// The node core gives attempts up earlier. This one holds if it cannot: connections that nobody closes are never freed.
const ATTEMPT_MS = 15_000;
const DESCRIPTION_MAX = 8192;  // kDescriptionBytesMax of shard/tab/messages.h
const MESSAGE_MAX = 16 * 1024;
const CANDIDATES_MAX = 16;
const MESSAGES_PER_SECOND = 500;
const BYTES_PER_SECOND = 1 << 20;
const BLOCKED_ABOVE = 64 * 1024;
const WAITING_MAX = 256 * 1024;
const CHANNEL_ID = 0;  // both ends open it, so no message is needed to agree on it

interface Channel {
  connection: RTCPeerConnection;
  data: RTCDataChannel;
  deadline: ReturnType<typeof setTimeout>;
  open: boolean;
  blocked: boolean;
  second: number;  // of the counts below
  messages: number;
  bytes: number;
}

export interface CarrierOptions {
  iceServers: readonly TurnServer[];
  // The share of attempts that fail at once: tests let the relay carry them.
  forbidden: number;
}

// A description of a stranger makes this browser send packets to the addresses in it. Only what a DataChannel needs is
// taken: one section, few candidates.
export function whyUnfit(description: string): string | undefined {
  if (description.length > DESCRIPTION_MAX) return "the description is too long";
  const lines = description.split("\n");
  const sections = lines.filter(line => line.startsWith("m="));
  if (sections.length !== 1 || !sections[0]!.startsWith("m=application ")) return "the description is not of a DataChannel";
  const candidates = lines.filter(line => line.startsWith("a=candidate:"));
  return candidates.length > CANDIDATES_MAX ? "the description has too many addresses" : undefined;
}

// Leaves out the addresses beyond those that the far end takes. The last ones are the least likely to be needed.
function fitting(description: string): string {
  let candidates = 0;
  return description.split("\r\n").filter(line => !line.startsWith("a=candidate:") || ++candidates <= CANDIDATES_MAX).join("\r\n");
}

function gathered(connection: RTCPeerConnection): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      clearTimeout(timer);
      connection.removeEventListener("icegatheringstatechange", look);
      resolve();
    };
    const look = () => {
      if (connection.iceGatheringState === "complete") done();
    };
    const timer = setTimeout(done, GATHER_MS);
    connection.addEventListener("icegatheringstatechange", look);
    look();
  });
}

export class Carriers {
  private readonly channels = new Map<number, Channel>();
  // Messages that were not sent: the channel was closed or full.
  dropped = 0;

  constructor(private readonly report: (event: CarrierEvent, transfer?: Transferable[]) => void,
              private readonly options: CarrierOptions) {}

  get open(): number {
    let open = 0;
    for (const channel of this.channels.values()) open += channel.open ? 1 : 0;
    return open;
  }

  handle(order: CarrierOrder): void {
    switch (order.type) {
      case "offer":
        void this.describe(order.channel, undefined);
        return;
      case "accept":
        void this.describe(order.channel, order.description);
        return;
      case "complete":
        void this.complete(order.channel, order.description);
        return;
      case "send":
        this.send(order.channel, order.bytes);
        return;
      case "close":
        this.close(order.channel);
        return;
    }
  }

  setIceServers(iceServers: readonly TurnServer[]): void {
    this.options.iceServers = iceServers;
  }

  // The page goes. What is said last is sent before a channel closes; the connections go with the page.
  leave(goodbye: ArrayBuffer): void {
    for (const {data} of this.channels.values()) {
      if (data.readyState !== "open") continue;
      data.onclose = null;
      data.send(goodbye);
      data.close();
    }
  }

  private begin(number: number): Channel {
    this.close(number);
    if (this.channels.size >= CHANNELS_MAX) throw new Error("this tab has as many connections as it may");
    if (Math.random() < this.options.forbidden) throw new Error("direct connections are forbidden in this tab");
    const connection = new RTCPeerConnection({iceServers: [...this.options.iceServers]});
    const data = connection.createDataChannel("lvs", {ordered: false, maxRetransmits: 0, negotiated: true, id: CHANNEL_ID});
    data.binaryType = "arraybuffer";
    data.bufferedAmountLowThreshold = BLOCKED_ABOVE / 4;
    const channel: Channel = {
      connection, data, open: false, blocked: false, second: 0, messages: 0, bytes: 0,
      deadline: setTimeout(() => this.fail(number, "the attempt took too long"), ATTEMPT_MS),
    };
    this.channels.set(number, channel);
    data.onopen = () => {
      clearTimeout(channel.deadline);
      channel.open = true;
      this.report({type: "opened", channel: number});
    };
    data.onmessage = ({data: bytes}) => this.receive(number, channel, bytes);
    data.onbufferedamountlow = () => {
      if (!channel.blocked) return;
      channel.blocked = false;
      this.report({type: "blocked", channel: number, blocked: false});
    };
    data.onclose = () => this.fail(number, "the far end closed the connection");
    // The state "disconnected" may pass or last for ever. Silence is judged by messages, in the node core.
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "failed") this.fail(number, "no way between the two was found");
    };
    return channel;
  }

  private async describe(number: number, offered: string | undefined): Promise<void> {
    let connection: RTCPeerConnection | undefined;
    try {
      const unfit = offered === undefined ? undefined : whyUnfit(offered);
      if (unfit !== undefined) throw new Error(unfit);
      ({connection} = this.begin(number));
      if (offered !== undefined) await connection.setRemoteDescription({type: "offer", sdp: offered});
      await connection.setLocalDescription();
      await gathered(connection);
      if (this.channels.get(number)?.connection !== connection) return;  // closed meanwhile
      this.report({type: "described", channel: number, description: fitting(connection.localDescription?.sdp ?? "")});
    } catch (error) {
      // A connection that was closed meanwhile reports nothing.
      if (connection === undefined || this.channels.get(number)?.connection === connection) this.fail(number, String(error));
    }
  }

  private async complete(number: number, answered: string): Promise<void> {
    const channel = this.channels.get(number);
    if (channel === undefined) return;
    try {
      const unfit = whyUnfit(answered);
      if (unfit !== undefined) throw new Error(unfit);
      await channel.connection.setRemoteDescription({type: "answer", sdp: answered});
    } catch (error) {
      if (this.channels.get(number) === channel) this.fail(number, String(error));
    }
  }

  private receive(number: number, channel: Channel, bytes: unknown): void {
    if (!(bytes instanceof ArrayBuffer) || bytes.byteLength > MESSAGE_MAX) {
      this.fail(number, "the far end sent what is no message");
      return;
    }
    const second = Math.floor(performance.now() / 1000);
    if (second !== channel.second) [channel.second, channel.messages, channel.bytes] = [second, 0, 0];
    channel.messages += 1;
    channel.bytes += bytes.byteLength;
    if (channel.messages > MESSAGES_PER_SECOND || channel.bytes > BYTES_PER_SECOND) {
      this.fail(number, "the far end sends too fast");
      return;
    }
    this.report({type: "received", channel: number, bytes}, [bytes]);
  }

  private send(number: number, bytes: ArrayBuffer): void {
    const channel = this.channels.get(number);
    if (channel === undefined || channel.data.readyState !== "open" || channel.data.bufferedAmount > WAITING_MAX) {
      this.dropped += 1;
      return;
    }
    try {
      channel.data.send(bytes);
    } catch (error) {
      this.fail(number, String(error));
      return;
    }
    if (!channel.blocked && channel.data.bufferedAmount > BLOCKED_ABOVE) {
      channel.blocked = true;
      this.report({type: "blocked", channel: number, blocked: true});
    }
  }

  // The worker is told once. What it closes itself it is not told about.
  private fail(number: number, words: string): void {
    this.close(number);
    this.report({type: "lost", channel: number, words});
  }

  private close(number: number): void {
    const channel = this.channels.get(number);
    if (channel === undefined) return;
    this.channels.delete(number);
    clearTimeout(channel.deadline);
    channel.data.onopen = channel.data.onmessage = channel.data.onclose = channel.data.onbufferedamountlow = null;
    channel.connection.onconnectionstatechange = null;
    channel.connection.close();
  }
}
