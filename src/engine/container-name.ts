import { randomInt } from "node:crypto";
import { invalidArgument } from "../base/error.ts";

const QUALITIES =
  "amber brisk calm clever crisp deft eager fair fresh gentle golden hardy honest jolly keen light lively lucky mellow merry mild neat nimble noble plucky proud quick quiet ready rosy sage sharp shiny silent smooth snug steady sunny sweet swift tidy true vivid warm wise witty".split(
    " ",
  );
const DISHES =
  "aloo biryani chapati chutney dal dosa falafel ghee halwa idli jalebi kebab khichdi korma kulfi laddu lassi masala momo naan pakora paneer papad paratha pickle pilaf poori raita rasam roti saag sambar samosa tandoori thali tikka upma uttapam vada vindaloo".split(
    " ",
  );

/** A name such as `nimble_samosa` that `isTaken` does not know yet; digits follow when the plain ones are used up. */
export function generateName(isTaken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt++) {
    const plain = `${QUALITIES[randomInt(QUALITIES.length)]}_${DISHES[randomInt(DISHES.length)]}`;
    const name = attempt < 6 ? plain : `${plain}${randomInt(10 ** Math.min(attempt - 5, 9))}`;
    if (!isTaken(name)) return name;
  }
}

/** @throws invalid-argument, with docker's words */
export function checkName(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) return;
  throw invalidArgument(
    `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    "Use at least two letters, digits, dots, dashes or underscores, the first a letter or digit",
  );
}
