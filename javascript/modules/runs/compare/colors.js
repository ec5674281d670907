/** The color of a run: the same in the list, the legend, the curves and the images, as long as it is compared. */

export const MOST = 6;

/** @type {Map<string, number>} the number of each run's color, kept when it is no longer compared */
const numbers = new Map();

/**
 * Gives each run a number of its own, where possible the one that it had before.
 * @param {string[]} ids of the compared runs
 */
export function assignColors(ids) {
    const taken = new Set();
    /** @type {string[]} */
    const open = [];
    for (const id of ids) {
        const before = numbers.get(id);
        if (before === undefined || taken.has(before)) open.push(id);
        else taken.add(before);
    }
    for (const id of open) {
        let number = 0;
        while (taken.has(number)) number += 1;
        taken.add(number);
        numbers.set(id, number);
    }
}

/** @param {string} id @returns {string} a class that sets the color for its element and those in it */
export const colorClass = (id) => `tl-series-${(numbers.get(id) || 0) % MOST}`;
