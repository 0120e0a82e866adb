import type { ImageConfig } from "../../images/image-store.ts";
import type { HealthCheck } from "../types.ts";

/**
 * The check that the user asked for, filled up field by field from the image's, by docker's rules (moby, daemon/commit.go). What an
 * image says in a wrong type it does not say.
 */
export function mergeHealthCheck(
  asked: HealthCheck | null,
  image: ImageConfig["config"],
): HealthCheck | null {
  const shell = image.Shell && image.Shell.length > 0 ? { shell: image.Shell } : {};
  const own = imageCheck(image.Healthcheck);
  if (asked === null) return own && { ...own, ...shell };
  if (own === null) return { ...asked, ...shell };
  return {
    test: asked.test.length > 0 ? asked.test : own.test,
    intervalNano: asked.intervalNano || own.intervalNano,
    timeoutNano: asked.timeoutNano || own.timeoutNano,
    startPeriodNano: asked.startPeriodNano || own.startPeriodNano,
    startIntervalNano: asked.startIntervalNano || own.startIntervalNano,
    retries: asked.retries || own.retries,
    ...shell,
  };
}

const KINDS = ["CMD", "CMD-SHELL", "NONE"];

function imageCheck(value: object | null | undefined): HealthCheck | null {
  if (!value) return null;
  const fields = new Map<string, unknown>(Object.entries(value));
  const test = fields.get("Test");
  const isTest = Array.isArray(test) && test.every((word) => typeof word === "string");
  const [kind = ""] = isTest ? test : [];
  if (!isTest || !KINDS.includes(kind)) return null;
  const number = (name: string): number => {
    const given = fields.get(name);
    return typeof given === "number" && given > 0 && Number.isFinite(given) ? given : 0;
  };
  return {
    test,
    intervalNano: number("Interval"),
    timeoutNano: number("Timeout"),
    startPeriodNano: number("StartPeriod"),
    startIntervalNano: number("StartInterval"),
    retries: number("Retries"),
  };
}
