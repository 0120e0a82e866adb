/** More of a reply is not looked at. */
const LONGEST_REPLY_BYTES = 64 * 1024;
const LONGEST_WORDS = 4096;

/** What has come so far of a reply to a GET with `Connection: close`. */
export interface HttpReply {
  /** 0: no status line yet. */
  readonly status: number;
  /** All that matters is there. */
  readonly isWhole: boolean;
  /** No HTTP/1 comes from there. */
  readonly isForeign: boolean;
  /** `HTTP 503 Service Unavailable: the database is away`. */
  readonly words: string;
}

/** Reads a reply as far as a health check needs (RFC 9112): the status, and a start of the body to show. */
export function readHttpReply(bytes: Buffer): HttpReply {
  const text = bytes.toString("latin1");
  const lineEnd = text.indexOf("\r\n");
  if (lineEnd < 0 && "HTTP/1.".startsWith(text.slice(0, 7)) && text.length < 1024) {
    return { status: 0, isWhole: false, isForeign: false, words: "no reply" };
  }
  const [, code = "", reason = ""] = /^HTTP\/1\.\d (\d{3})(?: ([^\r\n]*))?\r\n/.exec(text) ?? [];
  if (code === "") return { status: 0, isWhole: true, isForeign: true, words: "no HTTP reply" };
  const headEnd = text.indexOf("\r\n\r\n", lineEnd);
  const status = Number(code);
  const head = text.slice(lineEnd, headEnd < 0 ? undefined : headEnd + 2);
  const body = headEnd < 0 ? "" : text.slice(headEnd + 4);
  const isWhole =
    bytes.length >= LONGEST_REPLY_BYTES || (headEnd >= 0 && isBodyWhole(status, head, body));
  const shown = Buffer.from(body, "latin1").toString().slice(0, LONGEST_WORDS).trimEnd();
  const line = `HTTP ${code}${reason === "" ? "" : ` ${reason}`}`;
  return { status, isWhole, isForeign: false, words: shown === "" ? line : `${line}: ${shown}` };
}

function isBodyWhole(status: number, head: string, body: string): boolean {
  if (status === 204 || status === 304) return true;
  if (/\r\ntransfer-encoding:[^\r]*chunked/i.test(head)) return /(^|\r\n)0\r\n/.test(body);
  const length = /\r\ncontent-length:[ \t]*(\d+)/i.exec(head)?.[1];
  return length !== undefined && body.length >= Number(length);
}
