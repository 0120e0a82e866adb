import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  mkdirSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  chooseContext,
  contextHost,
  currentContext,
  listContexts,
  readContext,
  writeCertificate,
  writeContext,
} from "./context-store.ts";
import { testProgram } from "./program-fixture.ts";

let directory = "";
let environment: Record<string, string> = {};
const lab = {
  Name: "lab",
  Metadata: { Description: "the lab" },
  Endpoints: { docker: { Host: "tcp://10.0.0.7:2375", SkipTLSVerify: false } },
};

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tiffin-contexts."));
  environment = {
    TIFFIN_CONFIG: join(directory, "ours"),
    DOCKER_CONFIG: join(directory, "docker"),
  };
});
afterEach(() => rmSync(directory, { recursive: true }));

const run = (...words: string[]) => testProgram(words, environment);

describe("the store of contexts", () => {
  test("has docker's layout, and reads docker's own", () => {
    writeContext({ TIFFIN_CONFIG: join(directory, "docker") }, lab);
    expect(listContexts(environment).map(({ name, isOurs }) => [name, isOurs])).toEqual([
      ["lab", false],
    ]);
    expect(contextHost(environment, "lab")).toBe("tcp://10.0.0.7:2375");
    // sha256 of "lab".
    const hash = new Bun.CryptoHasher("sha256").update("lab").digest("hex");
    const file = join(directory, "docker/contexts/meta", hash, "meta.json");
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual(lab);
    writeContext(environment, {
      ...lab,
      Endpoints: { docker: { Host: "tcp://x:1", SkipTLSVerify: false } },
    });
    expect(readContext(environment, "lab")).toMatchObject({ host: "tcp://x:1", isOurs: true });
    expect(listContexts(environment)).toHaveLength(1);
  });

  test("passes over what is damaged, and says so when it is named", () => {
    writeContext(environment, lab);
    const meta = join(directory, "ours/contexts/meta");
    const [hash = ""] = readdirSync(meta);
    writeFileSync(join(meta, hash, "meta.json"), "{");
    mkdirSync(join(meta, "empty"));
    expect(listContexts(environment)).toEqual([]);
    expect(() => readContext(environment, "lab")).toThrow("Cannot read the context in");
    writeFileSync(join(meta, hash, "meta.json"), JSON.stringify({ ...lab, Name: "other" }));
    expect(() => readContext(environment, "lab")).toThrow("it is other, not lab");
    expect(listContexts(environment)).toEqual([]);
  });

  test("which one counts: a host before any, then the variable, then the one in use", () => {
    expect(currentContext(environment)).toBe("default");
    chooseContext(environment, "lab");
    expect(currentContext(environment)).toBe("lab");
    expect(currentContext({ ...environment, TIFFIN_CONTEXT: "other" })).toBe("other");
    expect(currentContext({ ...environment, TIFFIN_HOST: "unix:///x" })).toBe("default");
    chooseContext(environment, "default");
    expect(currentContext(environment)).toBe("default");
  });

  test("keeps what else stands in the file of the choice, and a damaged one as it is", () => {
    mkdirSync(join(directory, "ours"));
    const file = join(directory, "ours/config.json");
    writeFileSync(file, '{"other": 1}');
    chooseContext(environment, "lab");
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ other: 1, currentContext: "lab" });
    writeFileSync(file, "{");
    expect(() => chooseContext(environment, "lab")).toThrow("Cannot change");
    expect(readFileSync(file, "utf8")).toBe("{");
  });

  test("refuses a context with certificates until TLS is there", () => {
    writeContext(environment, lab);
    writeCertificate(environment, "lab", "docker/ca.pem", Buffer.from("x"));
    expect(() => contextHost(environment, "lab")).toThrow("TLS are not supported yet");
  });
});

describe("tiffin context", () => {
  test("create, ls, use, show, update, inspect, rm", async () => {
    expect(
      await run(
        "context",
        "create",
        "lab",
        "--description",
        "the lab",
        "--docker",
        "host=tcp://10.0.0.7:2375",
      ),
    ).toEqual({
      status: 0,
      out: "lab\n",
      error: 'Successfully created context "lab"\n',
    });
    expect(await run("context", "use", "lab")).toMatchObject({
      out: "lab\n",
      error: 'Current context is now "lab"\n',
    });
    expect((await run("context", "show")).out).toBe("lab\n");
    expect((await run("context", "ls")).out.split("\n")[1]).toMatch(
      /^default +Current TIFFIN_HOST/,
    );
    expect((await run("context", "ls")).out.split("\n")[2]).toMatch(
      /^lab \* +the lab +tcp:\/\/10\.0\.0\.7:2375/,
    );
    expect((await run("context", "ls", "-q")).out).toBe("default\nlab\n");
    expect((await run("context", "ls", "--format", "{{.Name}}={{.Current}}")).out).toBe(
      "default=false\nlab=true\n",
    );
    expect((await run("--context", "default", "context", "show")).out).toBe("default\n");
    expect(
      await run("context", "update", "lab", "--docker", "host=tcp://10.0.0.8:1"),
    ).toMatchObject({ status: 0, out: "lab\n" });
    const [inspected] = JSON.parse((await run("context", "inspect")).out) as object[];
    expect(inspected).toMatchObject({
      Name: "lab",
      Metadata: { Description: "the lab" },
      Endpoints: { docker: { Host: "tcp://10.0.0.8:1", SkipTLSVerify: false } },
      TLSMaterial: {},
    });
    expect((await run("context", "inspect", "-f", "{{.Endpoints.docker.Host}}", "lab")).out).toBe(
      "tcp://10.0.0.8:1\n",
    );
    expect(await run("context", "rm", "lab")).toEqual({
      status: 1,
      out: "",
      error: 'context "lab" is in use, set -f flag to force remove\n',
    });
    expect(await run("context", "rm", "-f", "lab")).toMatchObject({ status: 0, out: "lab\n" });
    expect((await run("context", "show")).out).toBe("default\n");
    expect(readdirSync(join(directory, "ours/contexts/meta"))).toEqual([]);
  });

  test("export and import, with certificates", async () => {
    const certificate = join(directory, "ca.pem");
    writeFileSync(certificate, "CERTIFICATE");
    await run("context", "create", "lab", "--docker", `host=tcp://x:1,ca=${certificate}`);
    const file = join(directory, "lab.dockercontext");
    expect((await run("context", "export", "lab", file)).error).toBe(`Written file "${file}"\n`);
    expect(await run("context", "export", "lab", file)).toMatchObject({
      status: 1,
      error: `open ${file}: file exists\n`,
    });
    expect(await run("context", "import", "copy", file)).toMatchObject({
      status: 0,
      out: "copy\n",
    });
    const [copy] = JSON.parse((await run("context", "inspect", "copy")).out) as {
      Name: string;
      TLSMaterial: object;
    }[];
    expect(copy).toMatchObject({ Name: "copy", TLSMaterial: { docker: ["ca.pem"] } });
    expect((await run("context", "import", "copy", file)).error).toBe(
      'context "copy" already exists\n',
    );
    expect((await run("context", "import", "bad", certificate)).error).toContain(
      "it is no tar archive",
    );
    expect(readContext(environment, "bad")).toBeUndefined();
  });

  test("mistakes have docker's words and leave nothing", async () => {
    const failed = async (...words: string[]) => (await run("context", ...words)).error;
    expect(await failed("create", "x")).toContain('context name "x" is invalid');
    expect(await failed("create", "default")).toBe('"default" is a reserved context name\n');
    expect(await failed("create", "lab", "--docker", "foo=x")).toBe(
      "unable to create docker endpoint config: unrecognized config key: foo\n",
    );
    expect(await failed("create", "lab", "--docker", "host=foo")).toContain(
      "unable to parse docker host `foo`",
    );
    expect(await failed("create", "lab", "--docker", "ca=/no/such")).toContain(
      "open /no/such: no such file or directory",
    );
    expect(await failed("create", "lab", "--from", "nope")).toContain(
      'context "nope": context not found',
    );
    expect(await failed("use", "nope")).toContain('context "nope": context not found');
    expect(await failed("rm", "nope")).toBe('context "nope" does not exist\n');
    expect(await failed("rm", "default")).toBe('context "default" cannot be removed\n');
    expect(await failed("update", "default")).toBe('"default" is a reserved context name\n');
    expect(await failed("import", "../../etc", "-")).toContain("is invalid");
    expect((await run("-c", "nope", "ps")).error).toContain('context "nope": context not found');
    expect((await run("-c", "nope", "-H", "unix:///x", "ps")).error).toBe(
      "conflicting options: cannot specify both --host and --context\n",
    );
    expect((await run("-c", "nope", "context", "ls")).out).toContain("nope *");
    expect(existsSync(join(directory, "ours"))).toBe(false);
  });

  test("docker's own are listed and used, and left to docker", async () => {
    writeContext({ TIFFIN_CONFIG: join(directory, "docker") }, lab);
    expect((await run("context", "ls", "-q")).out).toBe("default\nlab\n");
    expect((await run("context", "rm", "lab")).error).toContain("it is docker's");
    expect((await run("context", "use", "lab")).status).toBe(0);
    expect(existsSync(join(directory, "docker/config.json"))).toBe(false);
  });
});
