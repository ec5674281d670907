/** Which image of the dataset was sent to which of the webui's tabs, so that a result finds the way back. */

import {store} from "../../core/dom.js";

/** @typedef {{folder: string, session: string, number: number, path: string, line: string}} Source */

const KEY = "captions.sent";

/** @param {string} tab img2img or extras @param {Source} source */
export function rememberSource(tab, source) {
    store.set(KEY, {...store.get(KEY, {}), [tab]: source});
}

/** @param {string} tab @returns {Source|null} the image sent there last */
export function sourceOf(tab) {
    /** @type {Record<string, Source>} */
    const known = store.get(KEY, {});
    return known[tab] || null;
}

/** @param {string} tab what it shows came from no image of a set */
export function forgetSource(tab) {
    /** @type {Record<string, Source>} */
    const known = {...store.get(KEY, {})};
    delete known[tab];
    store.set(KEY, known);
}
