/** Files that are imported by path and that `bun build --compile` embeds. */
declare module "*/native/build/launch" {
  const path: string;
  export default path;
}

declare module "*/build/hello.tar" {
  const path: string;
  export default path;
}
