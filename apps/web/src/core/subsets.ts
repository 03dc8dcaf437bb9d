// Sets of modalities and how they are written: sorted and joined with `+`. The runtime's `subsets.py`.

/** Modalities of which every subset is measured. */
const WHOLE = 6;

export const nameOf = (subset: Iterable<string>): string => [...subset].sort().join("+");

/** Return the subsets that are measured, by size: all of up to six modalities; of more, each alone, all but each, and all. */
export function measured(modalities: readonly string[]): string[][] {
  const sorted = [...modalities].sort();
  return places(sorted.length).map((subset) => subset.map((place) => sorted[place]));
}

/** Return the subsets of n modalities that are measured, as places among them. */
export function places(n: number): number[][] {
  const all = Array.from({ length: n }, (_, place) => place);
  if (n > WHOLE) return [...all.map((one) => [one]), ...all.map((one) => all.filter((other) => other !== one)).reverse(), all];
  const found = Array.from({ length: 2 ** n - 1 }, (_, i) => all.filter((place) => (i + 1) & (1 << place)));
  return found.sort((a, b) => a.length - b.length || (a.join() < b.join() ? -1 : 1));
}
