import type { Value } from "./value.ts";

interface Positioned {
  /** Offset in the template. */
  readonly at: number;
}

export type Term =
  | (Positioned & { readonly kind: "dot" | "nil" })
  | (Positioned & { readonly kind: "constant"; readonly value: Value; readonly text: string })
  | (Positioned & { readonly kind: "field"; readonly names: readonly string[] })
  | (Positioned & {
      readonly kind: "variable";
      readonly name: string;
      readonly names: readonly string[];
    })
  | (Positioned & { readonly kind: "function"; readonly name: string })
  | (Positioned & {
      readonly kind: "chain";
      readonly term: Term;
      readonly names: readonly string[];
    })
  | Pipeline;

export interface CommandNode extends Positioned {
  readonly kind: "command";
  readonly words: readonly Term[];
}

export interface Pipeline extends Positioned {
  readonly kind: "pipeline";
  readonly declares: readonly string[];
  /** `=` and not `:=`. */
  readonly assigns: boolean;
  readonly commands: readonly CommandNode[];
}

export interface Control extends Positioned {
  readonly kind: "if" | "with" | "range";
  readonly pipeline: Pipeline;
  readonly body: readonly Node[];
  readonly otherwise: readonly Node[];
}

export type Node =
  | (Positioned & { readonly kind: "text"; readonly text: string })
  | (Positioned & { readonly kind: "action"; readonly pipeline: Pipeline })
  | (Positioned & { readonly kind: "break" | "continue" })
  | Control;

/** The node as Go writes it in its messages. */
export function nodeText(node: Term | CommandNode): string {
  switch (node.kind) {
    case "dot":
      return ".";
    case "nil":
      return "nil";
    case "constant":
      return node.text;
    case "field":
      return node.names.map((name) => `.${name}`).join("");
    case "variable":
      return [node.name, ...node.names].join(".");
    case "function":
      return node.name;
    case "chain": {
      const inner = nodeText(node.term);
      const term = node.term.kind === "pipeline" ? `(${inner})` : inner;
      return term + node.names.map((name) => `.${name}`).join("");
    }
    case "command":
      return node.words
        .map((word) => (word.kind === "pipeline" ? `(${nodeText(word)})` : nodeText(word)))
        .join(" ");
    case "pipeline": {
      const commands = node.commands.map(nodeText).join(" | ");
      const operator = node.assigns ? "=" : ":=";
      return node.declares.length === 0
        ? commands
        : `${node.declares.join(", ")} ${operator} ${commands}`;
    }
  }
}
