/** An error that the user can fix: its message is shown as it is. */
export class Problem extends Error {}
