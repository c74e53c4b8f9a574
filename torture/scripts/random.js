// A generator of random numbers with a seed, and what is drawn from it. The same seed, the same draws, on
// any engine.

export class Random {
  #state;

  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** 32 random bits (mulberry32). */
  bits() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /** An integer from 0 up to, and without, `end`. */
  below(end) {
    return this.bits() % end;
  }

  chance(percent) {
    return this.below(100) < percent;
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  /** Up to `most` of what `make` makes. */
  some(most, make) {
    return Array.from({ length: this.below(most + 1) }, make);
  }
}
