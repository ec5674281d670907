/** How an image is turned before it is cropped: quarter turns, then mirrored, then straightened; and what becomes of a frame. */

/** @typedef {import("./frame.js").Frame} Frame */
/** @typedef {import("./view.js").Size} Size */
/**
 * @typedef {object} Turn
 * @property {number} quarters turns by 90° clockwise, 0 to 3
 * @property {boolean} mirrored left to right, after the quarter turns
 * @property {number} degrees clockwise, after both; the largest rectangle without empty corners is kept
 */

/** @returns {Turn} */
export function unturned() {
    return {quarters: 0, mirrored: false, degrees: 0};
}

/** @param {Turn} turn */
export function isTurned({quarters, mirrored, degrees}) {
    return Boolean(quarters || mirrored || degrees);
}

/**
 * @param {Size} size of the upright image @param {Turn} turn
 * @returns {Size} the same as Turn.size_of in lib_lora_train/pictures/editing/turning.py
 */
export function turnedSize(size, {quarters, degrees}) {
    const {width, height} = quarters % 2 ? {width: size.height, height: size.width} : size;
    if (!degrees) return {width, height};
    const inner = innerSize(width, height, degrees);
    return {width: Math.max(1, Math.floor(inner.width + 1e-6)), height: Math.max(1, Math.floor(inner.height + 1e-6))};
}

/** @param {number} width @param {number} height @param {number} degrees @returns {Size} */
function innerSize(width, height, degrees) {
    const sine = Math.abs(Math.sin(degrees * Math.PI / 180));
    const cosine = Math.abs(Math.cos(degrees * Math.PI / 180));
    const shorter = Math.min(width, height);
    if (shorter <= 2 * sine * cosine * Math.max(width, height) || Math.abs(sine - cosine) < 1e-9) {
        const [along, across] = [shorter / 2 / sine, shorter / 2 / cosine];
        return width >= height ? {width: along, height: across} : {width: across, height: along};
    }
    const double = cosine * cosine - sine * sine;
    return {width: (width * cosine - height * sine) / double, height: (height * cosine - width * sine) / double};
}

/** @param {Frame} frame @param {Size} size of the image before @returns {Frame} after a turn by 90° clockwise */
export function frameTurned({left, top, right, bottom}, {height}) {
    return {left: height - bottom, top: left, right: height - top, bottom: right};
}

/** @param {Frame} frame @param {Size} size @returns {Frame} */
export function frameMirrored({left, top, right, bottom}, {width}) {
    return {left: width - right, top, right: width - left, bottom};
}

/** @param {Frame} frame @param {Size} before @param {Size} after @returns {Frame} at the same share of the image */
export function frameScaled({left, top, right, bottom}, before, after) {
    const [across, down] = [after.width / before.width, after.height / before.height];
    return {left: left * across, top: top * down, right: right * across, bottom: bottom * down};
}

/** Turn what is shown by 90°. @param {Turn} turn @param {1|-1} by clockwise @returns {Turn} */
export function quarterTurned(turn, by) {
    return {...turn, quarters: (turn.quarters + (turn.mirrored ? -by : by) + 4) % 4};
}

/** @param {Turn} turn @returns {string} a CSS transform of the upright image about its middle */
export function cssOf({quarters, mirrored, degrees}) {
    return `rotate(${degrees}deg) scaleX(${mirrored ? -1 : 1}) rotate(${90 * quarters}deg)`;
}
