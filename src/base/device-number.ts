/** The kernel's number of a device in st_rdev of stat(2): the encoding of makedev(3). */
export function majorOf(rdev: number): number {
  return Math.floor(rdev / 256) % 4096;
}

export function minorOf(rdev: number): number {
  return (rdev % 256) + Math.floor(rdev / 2 ** 20) * 256;
}
