/** `linux/arm64/v8` as docker's API takes it in a query; nothing for "". */
export function platformQuery(words: string): { platform?: string } {
  if (words === "") return {};
  const [os = "", architecture = "", variant] = words.split("/");
  const wanted = { os, architecture, ...(variant === undefined ? {} : { variant }) };
  return { platform: JSON.stringify(wanted) };
}
