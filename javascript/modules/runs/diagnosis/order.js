/** What the diagnosis shows, in which order, and in which words; free of the page. */

/** @typedef {import("../records").Diagnosis} Diagnosis */
/** @typedef {import("../records").DiagnosedImage} DiagnosedImage */
/** @typedef {import("../records").SuspiciousImage} ImageFinding */
/** @typedef {import("../records").ImageNow} ImageNow */

/** @type {Record<string, string>} */
export const WAYS = {look: "Look", weight: "Weight down", retag: "Retag", leave_out: "Leave out"};
export const HALF = 0.5;

/** @param {(number|null)[]} curve @returns {number|null} the last measured value */
export function lastOf(curve) {
    for (let index = curve.length - 1; index >= 0; index -= 1) {
        if (curve[index] !== null) return curve[index];
    }
    return null;
}

/**
 * The most suspicious first; among equals, those with the highest loss.
 * @param {DiagnosedImage[]} images
 * @returns {DiagnosedImage[]}
 */
export function bySuspicion(images) {
    return [...images].sort((one, other) => other.suspicion - one.suspicion ||
        (lastOf(other.curve) ?? 0) - (lastOf(one.curve) ?? 0) || one.index - other.index);
}

/** @param {ImageFinding[]} findings @returns {ImageFinding[]} */
export function byRank(findings) {
    return [...findings].sort((one, other) => one.rank - other.rank);
}

/** @param {ImageFinding} finding @returns {number[]} the image, and with it the others of a group of copies or look-alikes */
export function imagesOf({image, kind, others}) {
    return kind === "duplicate" ? [image, ...others] : [image];
}

/** @param {ImageNow|null} now @returns {string} what has been done about an image since the run, empty for nothing */
export function doneWords(now) {
    if (!now) return "";
    if (now.gone) return "No longer in the folder";
    const done = [];
    if (now.repeats === 0) done.push("Left out");
    if (now.weight !== 1) done.push(`Weight ${Number(now.weight.toPrecision(3))}`);
    if (now.retagged) done.push("Caption changed");
    return done.join(", ");
}

/** @param {ImageFinding} finding @returns {string[]} the ways out that still do something, in the file's order */
export function waysLeft({ways, now}) {
    const known = ways.filter((way) => way in WAYS);
    if (!now) return known.filter((way) => way === "look");
    if (now.gone) return known.filter((way) => way === "look");
    return known.filter((way) => !(way === "weight" && (now.weight !== 1 || now.repeats === 0)) &&
        !(way === "leave_out" && now.repeats === 0));
}

/**
 * @param {(number|null)[]} curve @param {(number|null)[]} typical the median of all images
 * @returns {string} "loss 0.21, half as high again as the typical 0.14"
 */
export function againstTypical(curve, typical) {
    const own = lastOf(curve);
    const usual = lastOf(typical);
    if (own === null) return "its loss is not measured";
    if (usual === null || usual <= 0) return `loss ${loss(own)}`;
    return `loss ${loss(own)}, ${Math.round(100 * own / usual)} % of the median ${loss(usual)}`;
}

/** @param {number} value @returns {string} */
export function loss(value) {
    return String(Number(value.toPrecision(value < 0.1 ? 2 : 3)));
}

/** @param {number} share @returns {string} "0.4 %", "12 %" */
export function percent(share) {
    return `${Number((100 * share).toPrecision(share < 0.1 ? 1 : 2))} %`;
}

/**
 * @template T
 * @param {T[]} items @param {number} page from 0 @param {number} size
 * @returns {{items: T[], page: number, pages: number, first: number}} the page, or the last one if there are fewer
 */
export function pageOf(items, page, size) {
    const pages = Math.max(1, Math.ceil(items.length / size));
    const shown = Math.max(0, Math.min(page, pages - 1));
    return {items: items.slice(shown * size, (shown + 1) * size), page: shown, pages, first: shown * size};
}

/** @param {(number|null)[][]} curves @returns {number} the highest value worth showing: single peaks may leave the chart */
export function highest(curves) {
    const values = curves.flat().filter((value) => value !== null).sort((one, other) => one - other);
    return values.length ? Math.max(values[Math.ceil(0.995 * (values.length - 1))], 1e-9) : 1;
}

/** @param {{kind: string}} part @returns {string} */
export function balanceTitle({kind}) {
    return {concept: "By concept", bucket: "By bucket", repeats: "By repeats"}[kind] || kind;
}
