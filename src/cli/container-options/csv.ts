/**
 * The fields of one line of comma-separated values (RFC 4180): a field in double quotes may hold commas, and quotes twice.
 *
 * @throws in Go's words
 */
export function splitCsv(line: string): string[] {
  if (line === "") throw new Error("EOF");
  const fields: string[] = [];
  let at = 0;
  for (;;) {
    const { field, end } = line[at] === '"' ? quoted(line, at) : plain(line, at);
    fields.push(field);
    if (end >= line.length) return fields;
    at = end + 1;
  }
}

function plain(line: string, start: number): { field: string; end: number } {
  const comma = line.indexOf(",", start);
  const end = comma < 0 ? line.length : comma;
  const field = line.slice(start, end);
  const quote = field.indexOf('"');
  if (quote >= 0) throw parseError(start + quote, 'bare " in non-quoted-field');
  return { field, end };
}

function quoted(line: string, start: number): { field: string; end: number } {
  let field = "";
  let at = start + 1;
  for (;;) {
    const quote = line.indexOf('"', at);
    if (quote < 0) throw parseError(line.length, 'extraneous or missing " in quoted-field');
    field += line.slice(at, quote);
    if (line[quote + 1] !== '"') {
      const end = quote + 1;
      if (end < line.length && line[end] !== ",") {
        throw parseError(quote, 'extraneous or missing " in quoted-field');
      }
      return { field, end };
    }
    field += '"';
    at = quote + 2;
  }
}

function parseError(column: number, reason: string): Error {
  return new Error(`parse error on line 1, column ${column + 1}: ${reason}`);
}
