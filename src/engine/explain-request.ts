import { randomBytes } from "node:crypto";
import type { EngineContext } from "./context.ts";
import { newContainer } from "./create-container.ts";
import type { ExplainedStep } from "./engine.ts";
import { explainPlan } from "./explain.ts";
import { findImage } from "./find-image.ts";
import { mergeImageConfig } from "./merge-image-config.ts";
import { exampleLinks } from "./networks/example-links.ts";
import { planMountPoints } from "./plan-mount-points.ts";
import { planContainer } from "./plan-container.ts";
import { validateSpec } from "./validate-spec.ts";
import type { ContainerSpec } from "./types.ts";
import { FIRST_BASE } from "../namespaces/id-range.ts";

/** The plan of a container that need not exist: nothing is made, no name or range of ids is taken. */
export async function explainRequest(
  context: EngineContext,
  request: { name: string; spec: ContainerSpec },
): Promise<ExplainedStep[]> {
  const image = await findImage(context, request.spec.image);
  const merged = mergeImageConfig(request.spec, image.config);
  const mountPoints = planMountPoints(merged, (name) => context.containers.find(name));
  const checked = validateSpec(context, { ...merged, mountPoints });
  const { resources, ownIds, sharedIdBase } = checked;
  const spec = { ...merged, mountPoints, resources };
  const container = newContainer(
    context,
    { name: request.name || "example", spec },
    { imageId: image.id },
  );
  const hostname = spec.hostname || randomBytes(6).toString("hex");
  const plan = planContainer(
    context,
    {
      ...container,
      spec: { ...spec, hostname },
      idBase: sharedIdBase ?? (ownIds ? FIRST_BASE : 0),
    },
    { streams: { stdout: true, stderr: true }, nextLog: 1, links: exampleLinks(context, spec) },
  );
  return explainPlan(plan.operations());
}
