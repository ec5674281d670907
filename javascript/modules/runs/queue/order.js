/** The order of the queue: which run another one is put in front of. */

/** @typedef {import("../../core/types").RunSummary} RunSummary */

/** @param {RunSummary[]} runs @returns {RunSummary[]} those in the queue, the next one first */
export function inQueue(runs) {
    const place = (/** @type {RunSummary} */ run) => run.place || 0;
    return runs.filter((run) => run.state === "waiting" && run.place !== null).sort((one, other) =>
        place(one) - place(other) || (one.id < other.id ? -1 : 1));
}

/**
 * @param {string[]} ids in order @param {string} id of the run to move @param {number} to its new position, from 0
 * @returns {string|null} the run that it comes before, empty for the end; null if it is there already
 */
export function beforeAt(ids, id, to) {
    const others = ids.filter((other) => other !== id);
    const target = Math.max(0, Math.min(others.length, to));
    return !ids.includes(id) || ids.indexOf(id) === target ? null : others[target] || "";
}

/**
 * @param {string[]} ids in order @param {string} id of the dragged run @param {string} over the row below the pointer
 * @param {boolean} below whether the pointer is in its lower half
 * @returns {number} the new position of the dragged run, from 0
 */
export function dropPosition(ids, id, over, below) {
    if (over === id) return ids.indexOf(id);
    return ids.filter((other) => other !== id).indexOf(over) + (below ? 1 : 0);
}
