/** The addresses of masks. */

import {url} from "../../core/dom.js";

/**
 * @param {import("../set.js").CaptionSet} set @param {{path: string, mask: string, version: string}} cell an image with a mask
 * @param {"mask-image"|"mask-overlay"} what the whole mask, or a tinted one of at most `size` pixels
 * @param {number} [size]
 */
export function maskUrl(set, cell, what, size = 256) {
    const query = new URLSearchParams({folder: set.folder, session: set.session, path: cell.path, v: `${cell.mask}.${cell.version}`});
    if (what === "mask-overlay") query.set("size", String(size));
    return url(`captions/${what}?${query}`);
}
