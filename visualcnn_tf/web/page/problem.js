/** Something that the user can mend: its message is shown as it is. */
export class Problem extends Error {}
