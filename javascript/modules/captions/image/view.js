/** How an image lies on a stage: its place and scale, and the way between image and screen pixels. */

/** @typedef {{x: number, y: number}} Point */
/** @typedef {{width: number, height: number}} Size */
/**
 * @typedef {object} View the place of an image on a stage
 * @property {number} x the left edge of the image on the stage, in screen pixels
 * @property {number} y its top edge
 * @property {number} scale screen pixels per image pixel
 */

const MOST_SCALE = 16;
const MARGIN = 16;
/** The least part of the image, in screen pixels, that stays on the stage when it is moved. */
const LEAST_SHOWN = 48;

/** @param {Size} image @param {Size} stage @returns {View} the whole image in the middle; a small one is enlarged */
export function fitted(image, stage) {
    const scale = fittingScale(image, stage);
    return {x: (stage.width - image.width * scale) / 2, y: (stage.height - image.height * scale) / 2, scale};
}

/** @param {Size} image @param {Size} stage @returns {number} */
function fittingScale(image, stage) {
    const across = Math.max(1, stage.width - 2 * MARGIN) / image.width;
    const down = Math.max(1, stage.height - 2 * MARGIN) / image.height;
    return Math.min(across, down, MOST_SCALE);
}

/**
 * Zoom with the image point under `at` staying there.
 * @param {View} view @param {number} factor @param {Point} at on the stage @param {Size} image @param {Size} stage
 * @returns {View} no smaller than the whole image
 */
export function zoomed(view, factor, at, image, stage) {
    const least = fittingScale(image, stage);
    const scale = Math.min(Math.max(view.scale * factor, least), Math.max(MOST_SCALE, least));
    if (scale <= least) return fitted(image, stage);
    const inside = toImage(view, at);
    return within({x: at.x - inside.x * scale, y: at.y - inside.y * scale, scale}, image, stage);
}

/** @param {View} view @param {number} dx screen pixels @param {number} dy @param {Size} image @param {Size} stage @returns {View} */
export function panned(view, dx, dy, image, stage) {
    return within({...view, x: view.x + dx, y: view.y + dy}, image, stage);
}

/** @param {View} view @param {Size} image @param {Size} stage @returns {View} with a part of the image on the stage */
function within(view, image, stage) {
    const across = image.width * view.scale;
    const down = image.height * view.scale;
    const keep = (/** @type {number} */ at, /** @type {number} */ length, /** @type {number} */ room) =>
        Math.min(Math.max(at, Math.min(LEAST_SHOWN, length) - length), room - Math.min(LEAST_SHOWN, length));
    return {x: keep(view.x, across, stage.width), y: keep(view.y, down, stage.height), scale: view.scale};
}

/** @param {View} view @param {Point} point on the stage @returns {Point} in image pixels, maybe outside the image */
export function toImage(view, point) {
    return {x: (point.x - view.x) / view.scale, y: (point.y - view.y) / view.scale};
}

/** @param {View} view @param {Point} point in image pixels @returns {Point} on the stage */
export function toStage(view, point) {
    return {x: view.x + point.x * view.scale, y: view.y + point.y * view.scale};
}

/** @param {Point} point @param {Size} image @returns {Point} the nearest point of the image */
export function inImage(point, image) {
    return {x: Math.min(Math.max(point.x, 0), image.width), y: Math.min(Math.max(point.y, 0), image.height)};
}
