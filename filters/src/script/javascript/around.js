// The time and the random numbers of a run: `now` in milliseconds, `seed` a whole number of 32 bits.
(now, seed) => {
    const Real = Date;
    function Fixed(...given) {
        if (!new.target) {
            return new Real(now).toString();
        }
        return Reflect.construct(Real, given.length === 0 ? [now] : given, new.target);
    }
    Fixed.prototype = Real.prototype;
    Fixed.prototype.constructor = Fixed;
    Fixed.now = () => now;
    Fixed.parse = Real.parse;
    Fixed.UTC = Real.UTC;
    globalThis.Date = Fixed;
    let state = seed;
    // A linear congruential generator with the multiplier of Numerical Recipes: spread evenly, and no secret.
    Math.random = () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state / 4294967296;
    };
}
