/** What the import says: its progress, and what would be added. */

import {format} from "../../core/format.js";

/** @typedef {import("../answers").IntakePlan} IntakePlan */

/**
 * @param {{sentFiles: number, files: {length: number}, sentBytes: number, bytes: number, secondsLeft: number|null}} upload
 * @returns {string} "34 of 120 files, 12.3 MB of 80.0 MB, 12 s left"
 */
export function uploadWords({sentFiles, files, sentBytes, bytes, secondsLeft}) {
    const left = format.left(secondsLeft);
    return `${format.number(sentFiles)} of ${format.plural(files.length, "file")}, ${format.bytes(sentBytes)} of ` +
        `${format.bytes(bytes)}${left ? `, ${left}` : ""}`;
}

/** @param {Pick<IntakePlan, "images"|"captions"|"masks">} plan @returns {string} "12 images with 10 captions and 1 mask" */
export function planWords({images, captions, masks}) {
    const more = [captions ? format.plural(captions, "caption") : "", masks ? format.plural(masks, "mask") : ""].filter(Boolean);
    if (!images && !more.length) return "nothing";
    if (!images) return more.join(" and ");
    return `${format.plural(images, "image")}${more.length ? ` with ${more.join(" and ")}` : ""}`;
}

/**
 * The folder that new images go to by default: training reads no images beside concept folders.
 * @param {readonly {path: string, pictures: number}[]} folders of the set @param {string|null} current the current image's
 * @returns {string}
 */
export function defaultFolder(folders, current) {
    if (current !== null) return current;
    const most = [...folders].sort((one, other) => other.pictures - one.pictures)[0];
    return most ? most.path : "";
}
