/** `--name=value`: one word, so that a value may begin with a dash. Nothing for an empty value. */
export function option(name: string, value: string | number): string[] {
  return value === "" || value === 0 ? [] : [`--${name}=${value}`];
}

export function toggle(name: string, isOn: boolean): string[] {
  return isOn ? [`--${name}`] : [];
}

export function each(name: string, values: readonly string[]): string[] {
  return values.map((value) => `--${name}=${value}`);
}

export function pairs(name: string, map: Readonly<Record<string, string>>): string[] {
  return each(
    name,
    Object.entries(map).map(([key, value]) => `${key}=${value}`),
  );
}
