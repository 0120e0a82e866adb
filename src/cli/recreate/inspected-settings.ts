/** What inspect says of how a container was made, as far as a command line can say it again. */
export interface InspectedSettings {
  readonly Id: string;
  /** With docker's slash. */
  readonly Name: string;
  readonly Image: string;
  readonly Config: Settings;
  readonly HostConfig: Settings;
  readonly NetworkSettings?: Settings;
}

/** The part of an image that a container's own settings are held against. */
export interface ImageSettings {
  readonly Id: string;
  readonly Config: Settings | null;
}

type Settings = Readonly<Record<string, unknown>>;

/** Fields of docker's JSON by their types; what is null or absent is empty. */
export class Fields {
  readonly #settings: Settings;

  constructor(settings: Settings | null | undefined) {
    this.#settings = settings ?? {};
  }

  text(name: string): string {
    const value = this.#settings[name];
    return typeof value === "string" ? value : "";
  }

  number(name: string): number {
    const value = this.#settings[name];
    return typeof value === "number" ? value : 0;
  }

  flag(name: string): boolean {
    return this.#settings[name] === true;
  }

  isSet(name: string): boolean {
    return (this.#settings[name] ?? null) !== null;
  }

  list(name: string): readonly string[] {
    const value = this.#settings[name];
    return Array.isArray(value) ? (value as string[]) : [];
  }

  map(name: string): Readonly<Record<string, string>> {
    return (this.#settings[name] ?? {}) as Record<string, string>;
  }

  keys(name: string): string[] {
    return Object.keys(this.map(name));
  }

  object(name: string): Fields {
    return new Fields((this.#settings[name] ?? {}) as Settings);
  }

  /** An object as it came. */
  raw(name: string): Settings {
    return (this.#settings[name] ?? {}) as Settings;
  }

  objects(name: string): Fields[] {
    const value = this.#settings[name];
    return Array.isArray(value) ? (value as Settings[]).map((each) => new Fields(each)) : [];
  }
}
