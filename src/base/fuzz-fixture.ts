/*
 * Damaged input for parsers: what they refuse, they refuse in words. A run with the same seed is the same run; `npm run fuzz`
 * takes another seed each time and many more rounds.
 */
import { type ErrorCode, TiffinError } from "./error.ts";

/** How often each parser is asked. */
export const FUZZ_ROUNDS: number = Number(process.env["TIFFIN_FUZZ_ROUNDS"] ?? 3000);
/** `TIFFIN_FUZZ_SEED=random` takes another one each time. */
export const FUZZ_SEED: number = seedOf(process.env["TIFFIN_FUZZ_SEED"] ?? "32753");

function seedOf(text: string): number {
  if (text !== "random") return Number(text);
  const seed = 1 + Math.floor(Math.random() * 2 ** 31);
  console.log(`TIFFIN_FUZZ_SEED=${seed}`);
  return seed;
}

/** Numbers below a bound; xorshift, reproducible, and good enough to hit things. */
export function randomNumbers(seed: number = FUZZ_SEED): (below: number) => number {
  let state = seed | 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const PIECES = [
  '"',
  "{",
  "}",
  "[",
  "]",
  "null",
  "-1",
  "1e999",
  '"a"',
  ":",
  ",",
  "=",
  "/",
  "@",
  "\\",
  "__proto__",
  "\u0000",
  "\ud800",
];

function damage(text: string, random: (below: number) => number): string {
  let damaged = text;
  for (let count = 1 + random(3); count > 0; count--) {
    const at = random(damaged.length + 1);
    const cut = random(12);
    const piece = PIECES[random(PIECES.length)] ?? "";
    damaged = damaged.slice(0, at) + piece + damaged.slice(at + cut);
  }
  return damaged;
}

/** Gives damaged forms of valid texts to a parser. @throws with the text, when the parser fails in any other way than with these codes */
export async function survives(
  valid: readonly string[],
  parse: (text: string) => unknown,
  codes: readonly ErrorCode[] = ["invalid-argument", "not-implemented"],
): Promise<void> {
  const random = randomNumbers();
  for (let round = 0; round < FUZZ_ROUNDS; round++) {
    const text = damage(valid[round % valid.length] ?? "", random);
    try {
      await parse(text);
    } catch (error) {
      if (error instanceof TiffinError && codes.includes(error.code)) continue;
      throw new TiffinError("internal", `seed ${FUZZ_SEED}: ${JSON.stringify(text)}`, {
        cause: error,
      });
    }
  }
}
