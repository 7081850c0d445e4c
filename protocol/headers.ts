/** HTTP headers that Penstock's pods add; all lower case, as Node gives them. */

/** On every inference answer: the revision that computed it. */
export const REVISION_HEADER = 'x-penstock-revision'
/**
 * On every inference answer: time from the complete request to the answer inside the revision that computed it, in microseconds. A
 * client's slow upload is in nobody's time, else it would count against stable's own share only.
 */
export const DURATION_HEADER = 'x-penstock-duration-us'
/**
 * On every inference answer: names it when feedback is given. A request may bring its own, which is taken; else the server makes one.
 */
export const REQUEST_ID_HEADER = 'x-request-id'
/**
 * On a relayed or shadowed request, with the revision that it is meant for as its value: a pod of the same model answers it itself, never
 * relays it on, and does not take it for a client's.
 */
export const RELAYED_HEADER = 'x-penstock-relayed'
