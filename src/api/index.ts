/**
 * Docker's Engine API over an engine: requests become calls of the engine, its answers become docker's JSON and streams.
 * No decision is made here. Handlers return replies as data; server.ts and hijack.ts alone know of sockets.
 *
 *     const server = await serveApi(engine, { listen: "/run/tiffin/tiffin.sock" });
 *     …
 *     await server.close();
 *
 * Reference: https://docs.docker.com/reference/api/engine/ and docs/reference/api.md
 */
export { type ApiServer, type ServeOptions, serveApi } from "./server.ts";
