const turns = 3_000_000;
let x = 1;
const started = performance.now();
for (let i = 0; i < turns; i++) x = (x * 1103515245 + 12345) % 2147483648;
const nanoseconds = (performance.now() - started) * 1e6 / turns;
if (x < 0) throw new Error("overflow");
console.log(nanoseconds);
