/** An image's place in the API; the slashes of its name stand as they are, as docker sends them. */
export function imagePath(name: string, ...rest: readonly string[]): string {
  return ["/images", ...name.split("/").map(encodeURIComponent), ...rest].join("/");
}
