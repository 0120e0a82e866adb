import { type ErrorCode, TiffinError } from "../base/error.ts";

/** Registries' error bodies are short; more than this is not read. */
const ERROR_BODY_BYTES = 64 << 10;

const CODES: Readonly<Record<number, ErrorCode>> = {
  400: "invalid-argument",
  401: "unauthenticated",
  403: "permission-denied",
  404: "not-found",
  405: "not-implemented",
  416: "invalid-argument",
  429: "resource-exhausted",
};

/** For answers without a body (HEAD has none): distribution-spec's own words. */
const WORDS: Readonly<Record<number, string>> = {
  401: "unauthorized: authentication required",
  403: "denied: requested access to the resource is denied",
};

/**
 * What a registry refused, in its own words: `manifest unknown` (distribution-spec v1.1.1, "Error Codes"). `details` has the
 * status, the method, the address without its secrets, and the registry's codes.
 */
export async function registryError(
  response: Response,
  { method, address }: { method: string; address: string },
): Promise<TiffinError> {
  const text = await errorBody(response);
  const errors = registryErrors(text);
  const words =
    errors.length > 0
      ? errors.map(({ code, message }) => `${code}: ${message}`.replace(/^: |: $/g, "")).join(", ")
      : (WORDS[response.status] ?? `${response.status} ${response.statusText}`.trim());
  return new TiffinError(CODES[response.status] ?? "unavailable", words, {
    ...(response.status === 401 ? { hint: "Log in with: tiffin login REGISTRY" } : {}),
    details: {
      status: response.status,
      method,
      address: withoutSecrets(address),
      codes: errors.map(({ code }) => code),
    },
  });
}

/** An address as it may be shown: without user, password and query (which may be a signature). */
export function withoutSecrets(address: string): string {
  const url = new URL(address);
  url.username = "";
  url.password = "";
  url.search = url.search === "" ? "" : "?…";
  return url.href;
}

async function errorBody(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > ERROR_BODY_BYTES) break;
    }
  } catch {
    // What came so far has to do: the status is the error.
  }
  return Buffer.concat(chunks).subarray(0, ERROR_BODY_BYTES).toString("utf8");
}

/** In lower case with spaces, as docker prints codes: `MANIFEST_UNKNOWN` is "manifest unknown". */
function registryErrors(text: string): { code: string; message: string }[] {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    return [];
  }
  const errors = (content as { errors?: unknown } | null)?.errors;
  if (!Array.isArray(errors)) return [];
  return errors.slice(0, 10).map((error: unknown) => {
    const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
    return {
      code: typeof code === "string" ? code.toLowerCase().replaceAll("_", " ") : "",
      message: typeof message === "string" ? message : "",
    };
  });
}
