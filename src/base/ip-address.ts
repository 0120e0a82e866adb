const BYTE = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = new RegExp(`^${BYTE}(?:\\.${BYTE}){3}$`);
const IPV6_CHARACTERS = /^[\da-f:.]+$/i;

/**
 * 4 or 6 for an address of that version, 0 for anything else (RFC 4291 section 2.2; no zone). Node's `isIP` does the same, but
 * loading `node:net` takes a third of a command's time.
 */
export function ipVersion(text: string): 0 | 4 | 6 {
  if (IPV4.test(text)) return 4;
  return IPV6_CHARACTERS.test(text) && URL.canParse(`http://[${text}]`) ? 6 : 0;
}
