/** Compares names as docker sorts lists: runs of digits by their value, all else by bytes. */
export function compareNaturally(first: string, second: string): number {
  const parts = [first, second].map((name) => name.match(/\d+|\D+/g) ?? []);
  const [left = [], right = []] = parts;
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const order = comparePart(left[index] ?? "", right[index] ?? "");
    if (order !== 0) return order;
  }
  return 0;
}

function comparePart(first: string, second: string): number {
  const areNumbers = /^\d/.test(first) && /^\d/.test(second);
  if (areNumbers) {
    const [left, right] = [BigInt(first), BigInt(second)];
    if (left !== right) return left < right ? -1 : 1;
    return first.length - second.length;
  }
  if (first === second) return 0;
  return first < second ? -1 : 1;
}
