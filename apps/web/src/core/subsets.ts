// Sets of modalities and how they are written: sorted and joined with `+`.

export const nameOf = (subset: Iterable<string>): string => [...subset].sort().join("+");

/** Return the non-empty subsets of `modalities`, by size, then alphabetical. */
export function subsets(modalities: readonly string[]): string[][] {
  const sorted = [...modalities].sort();
  const found: string[][] = [];
  for (let bits = 1; bits < 2 ** sorted.length; bits++) found.push(sorted.filter((_, i) => bits & (1 << i)));
  return found.sort((a, b) => a.length - b.length || (nameOf(a) < nameOf(b) ? -1 : 1));
}
