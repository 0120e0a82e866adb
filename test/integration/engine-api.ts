/** The engine's API called directly: one request a connection, nothing is tried again, no engine is started. */
import { expect } from "bun:test";
import type { EngineFixture } from "./engine-fixture.ts";

export interface ApiAnswer {
  readonly status: number;
  readonly text: string;
  /** The body as JSON; undefined when it is none. */
  readonly json: unknown;
}

/** @throws when the engine ends before it has answered */
export async function callApi(
  { socket }: Pick<EngineFixture, "socket">,
  method: string,
  path: string,
  body?: object | Uint8Array,
): Promise<ApiAnswer> {
  const isBytes = body instanceof Uint8Array;
  const response = await fetch(`http://tiffin${path}`, {
    unix: socket,
    method,
    keepalive: false,
    headers: { "Content-Type": isBytes ? "application/x-tar" : "application/json" },
    ...(body === undefined ? {} : { body: isBytes ? body : JSON.stringify(body) }),
  } as RequestInit);
  const text = await response.text();
  return { status: response.status, text, json: parse(text) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** As {@link callApi}; the answer must be a success. Resolves to the body as JSON. */
export async function callOk<Body = unknown>(
  engine: Pick<EngineFixture, "socket">,
  method: string,
  path: string,
  body?: object | Uint8Array,
): Promise<Body> {
  const { status, text, json } = await callApi(engine, method, path, body);
  const isOk = status < 400 && !/"errorDetail"/.test(text);
  expect({ method, path, isOk, text: isOk ? "" : text }).toEqual({
    method,
    path,
    isOk: true,
    text: "",
  });
  return json as Body;
}
