/** Go's constants in templates. Each throws the reason why a text is none. */

const ESCAPES: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  '"': '"',
  "'": "'",
};
const ESCAPE = /\\(?:(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})|([0-7]{3})|(.))/gs;

/** A string in double quotes, or a raw one in back quotes. */
export function readString(text: string): string {
  if (text.startsWith("`")) return text.slice(1, -1).replaceAll("\r", "");
  return unescape(text.slice(1, -1));
}

/** A character constant: its code point. */
export function readCharacter(text: string): number {
  const points = Array.from(unescape(text.slice(1, -1)));
  if (points.length !== 1) throw new Error(`malformed character constant: ${text}`);
  return points[0]?.codePointAt(0) ?? 0;
}

function unescape(text: string): string {
  return text.replace(ESCAPE, (_all, hex?: string, octal?: string, char: string = "") => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex.slice(1), 16));
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
    const escaped = Object.hasOwn(ESCAPES, char) ? ESCAPES[char] : undefined;
    if (escaped === undefined) throw new Error("invalid syntax");
    return escaped;
  });
}

export function readNumber(text: string): number | bigint {
  const sign = text.startsWith("-") ? -1 : 1;
  const digits = text.replace(/^[+-]/, "").replaceAll("_", "");
  const isInteger = /^(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|[0-9]+)$/.test(digits);
  if (isInteger) {
    const whole = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits) * BigInt(sign);
    const number = Number(whole);
    return Number.isSafeInteger(number) ? number : whole;
  }
  const number = Number(digits) * sign;
  if (
    !/^(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/.test(digits) ||
    !Number.isFinite(number)
  ) {
    throw new Error(`bad number syntax: ${JSON.stringify(text)}`);
  }
  return number;
}
