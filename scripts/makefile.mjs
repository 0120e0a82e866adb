/**
 * Enough of make for native/Makefile, for machines that have a C compiler and no make: variables (`:=`, `?=`), rules with
 * order-only prerequisites, `$@`, `$<`, `$^`. scripts/makefile.test.ts holds its commands against make's own.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";

/**
 * @param {string} text a makefile
 * @param {Record<string, string>} [overrides] variables that win over those of the file
 * @returns {{ variables: Record<string, string>, rules: { targets: string[], sources: string[], folders: string[], recipe: string[] }[] }}
 */
export function parseMakefile(text, overrides = {}) {
  const variables = { CC: "cc", ...overrides };
  const rules = [];
  for (const line of text.replaceAll("\\\n", " ").split("\n")) {
    if (line.startsWith("\t")) {
      rules.at(-1)?.recipe.push(line.slice(1));
      continue;
    }
    const assignment = /^([A-Z_]+)\s*(:|\?)?=\s*(.*)$/.exec(line);
    const rule = /^([^#:=]+):([^=]*)$/.exec(line);
    if (assignment) {
      const [, name, , value] = assignment;
      if (!(name in overrides)) variables[name] = value.trim().replace(/\s+/g, " ");
    } else if (rule) {
      const [sources, folders = ""] = expand(rule[2], variables).split("|");
      rules.push({
        targets: words(expand(rule[1], variables)),
        sources: words(sources),
        folders: words(folders),
        recipe: [],
      });
    }
  }
  return { variables, rules };
}

/**
 * The commands that bring `target` up to date, in order.
 * @param {ReturnType<typeof parseMakefile>} makefile
 * @param {string} target
 * @param {string} directory where the makefile's paths start
 * @param {Set<string>} [done] targets seen already
 * @returns {string[]}
 */
export function commandsFor(makefile, target, directory, done = new Set()) {
  if (done.has(target)) return [];
  done.add(target);
  const rule = makefile.rules.find((one) => one.targets.includes(target));
  if (!rule) {
    if (existsSync(join(directory, target))) return [];
    throw new Error(`No rule to make "${target}"`);
  }
  const before = [...rule.folders, ...rule.sources].flatMap((source) =>
    commandsFor(makefile, source, directory, done),
  );
  if (before.length === 0 && isCurrent(rule, target, directory)) return [];
  const automatic = { "@": target, "<": rule.sources[0] ?? "", "^": rule.sources.join(" ") };
  return [
    ...before,
    ...rule.recipe.map((line) => expand(line, makefile.variables, automatic).replace(/^@/, "")),
  ];
}

function isCurrent(rule, target, directory) {
  const path = join(directory, target);
  if (!existsSync(path)) return false;
  const made = statSync(path).mtimeMs;
  return rule.sources.every((source) => {
    const from = join(directory, source);
    return existsSync(from) && statSync(from).mtimeMs <= made;
  });
}

function expand(text, variables, automatic = {}) {
  return text
    .replace(/\$\(([A-Z_]+)\)/g, (_, name) => expand(variables[name] ?? "", variables, automatic))
    .replace(/\$([@<^])/g, (_, name) => automatic[name] ?? "");
}

function words(text) {
  return text.split(/\s+/).filter(Boolean);
}
