// Sets of modalities and how they are written: sorted and joined with `+`. The runtime's `subsets.py`.

/** Modalities of which every subset is measured. */
export const WHOLE = 6;

export const nameOf = (subset: Iterable<string>): string => [...subset].sort().join("+");

/** Return the subsets that are measured, by size: all of up to six modalities; of more, each alone, all but each, and all. */
export function measured(modalities: readonly string[]): string[][] {
  const sorted = [...modalities].sort();
  if (sorted.length > WHOLE) return [...sorted.map((one) => [one]), ...sorted.map((one) => sorted.filter((other) => other !== one)).reverse(), sorted];
  const found: string[][] = [];
  for (let bits = 1; bits < 2 ** sorted.length; bits++) found.push(sorted.filter((_, i) => bits & (1 << i)));
  return found.sort((a, b) => a.length - b.length || (nameOf(a) < nameOf(b) ? -1 : 1));
}

/** Return the subset of `known` that differs least from a live set, and of several the smallest. */
export function nearest(live: readonly string[], known: readonly string[][]): string[] | undefined {
  const apart = (one: string[]): number => one.length + live.length - 2 * live.filter((m) => one.includes(m)).length;
  return [...known].sort((a, b) => apart(a) - apart(b) || a.length - b.length || (nameOf(a) < nameOf(b) ? -1 : 1))[0];
}
