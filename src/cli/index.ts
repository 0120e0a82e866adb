/**
 * The command line: docker's words, a client of the API and nothing else.
 *
 * One command is one file below `commands/`, with a description (flags, operands, summary) from which the grammar
 * (`grammar.ts`), the help text (`help.ts`) and completion come; `command-table.ts` loads the one that runs.
 * `--format` is Go's template language (`go-template/`), tables are laid out as Go's tabwriter does (`table.ts`).
 *
 *   await runProgram(["ps", "--all"], world)   // 0
 */
export type { World } from "./command.ts";
export { runProgram } from "./program.ts";
