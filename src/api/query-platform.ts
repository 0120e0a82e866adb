import { asRecord, parseJson, parsePlatform, type Platform } from "../images/manifest.ts";
import { type ApiRequest, queryString } from "./request.ts";

/** `platform={"os":"linux","architecture":"amd64"}`, as docker's newer clients send it; undefined without. @throws invalid-argument */
export function queryPlatform(request: ApiRequest): Platform | undefined {
  const asked = queryString(request, "platform");
  if (asked === "") return undefined;
  const content = asRecord(parseJson(Buffer.from(asked), "the platform"));
  const words = ["os", "architecture", "variant"].map((key) => content?.[key]).filter(Boolean);
  return parsePlatform(words.join("/"));
}
