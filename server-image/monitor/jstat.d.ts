/** The part of jstat that is used; it ships no types. */
declare module 'jstat' {
  const jstat: {
    readonly chisquare: { cdf(x: number, degreesOfFreedom: number): number }
  }
  export default jstat
}
