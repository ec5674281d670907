/** What the view Grow says of a set's size. */

import {format} from "../../core/format.js";

/** @typedef {import("../answers").Growth} Growth */

/** @param {Growth} growth @returns {string} */
export function growthWords({images, made, target}) {
    const own = images - made;
    const here = made ? `${format.plural(own, "image")} of your own and ${format.number(made)} generated` : format.plural(images, "image");
    if (images >= 25) return `${here}: enough for a character. Remove what does not fit, and train the final LoRA.`;
    return `${here}. Aim for ${format.number(target)} next: train a quick LoRA, generate images with it, keep the best, and repeat.`;
}

/** @param {Growth} growth @returns {{count: number, state: "done"|"next"|"later"}[]} */
export function targetsOf({images, target}) {
    return [1, 2, 4, 6, 10, 15, 25].map((count) => ({count, state: count <= images ? "done" : count === target ? "next" : "later"}));
}
