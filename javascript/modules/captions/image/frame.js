/** Geometry of a crop: frames in image pixels, drawn, moved and resized within the image, free or at a ratio. */

/** @typedef {import("./view.js").Point} Point */
/** @typedef {import("./view.js").Size} Size */
/** @typedef {{left: number, top: number, right: number, bottom: number}} Frame in pixels; right and bottom are outside */

export const LEAST_SIDE = 8;

/** @param {Size} size @returns {Frame} */
export function wholeOf({width, height}) {
    return {left: 0, top: 0, right: width, bottom: height};
}

/** @param {Frame} frame @param {Size} size */
export function isWhole(frame, size) {
    return frame.left <= 0 && frame.top <= 0 && frame.right >= size.width && frame.bottom >= size.height;
}

/** @param {Frame} frame @returns {Size} */
export function sizeOf({left, top, right, bottom}) {
    return {width: right - left, height: bottom - top};
}

/** @param {number} value @param {number} least @param {number} most */
function between(value, least, most) {
    return Math.min(Math.max(value, least), most);
}

/** @param {Frame} frame @param {Size} size @returns {Frame} in whole pixels, inside the image, of at least the least side */
export function rounded(frame, size) {
    const width = between(Math.round(frame.right - frame.left), Math.min(LEAST_SIDE, size.width), size.width);
    const height = between(Math.round(frame.bottom - frame.top), Math.min(LEAST_SIDE, size.height), size.height);
    const left = between(Math.round(frame.left), 0, size.width - width);
    const top = between(Math.round(frame.top), 0, size.height - height);
    return {left, top, right: left + width, bottom: top + height};
}

/**
 * A frame from a fixed corner to a dragged one.
 * @param {Point} from inside the image @param {Point} to @param {number} ratio width by height, 0 for any
 * @param {Size} size of the image @returns {Frame}
 */
export function drawn(from, to, ratio, size) {
    const rightwards = to.x >= from.x;
    const downwards = to.y >= from.y;
    const most = {width: rightwards ? size.width - from.x : from.x, height: downwards ? size.height - from.y : from.y};
    let width = Math.min(Math.abs(to.x - from.x), most.width);
    let height = Math.min(Math.abs(to.y - from.y), most.height);
    if (ratio) {
        width = Math.min(Math.max(width, height * ratio), most.width, most.height * ratio);
        height = width / ratio;
    }
    return {left: rightwards ? from.x : from.x - width, right: rightwards ? from.x + width : from.x,
        top: downwards ? from.y : from.y - height, bottom: downwards ? from.y + height : from.y};
}

/** @param {Frame} frame @param {number} dx @param {number} dy @param {Size} size @returns {Frame} of the same size */
export function moved(frame, dx, dy, size) {
    const {width, height} = sizeOf(frame);
    const left = between(frame.left + dx, 0, size.width - width);
    const top = between(frame.top + dy, 0, size.height - height);
    return {left, top, right: left + width, bottom: top + height};
}

/**
 * @param {Frame} frame @param {string} handle the sides that are dragged, of n, e, s, w @param {Point} point
 * @param {number} ratio 0 for any @param {Size} size @returns {Frame}
 */
export function resized(frame, handle, point, ratio, size) {
    const across = /[ew]/.test(handle);
    const down = /[ns]/.test(handle);
    const fixed = {x: handle.includes("w") ? frame.right : frame.left, y: handle.includes("n") ? frame.bottom : frame.top};
    if (across && down) return drawn(fixed, point, ratio, size);
    const to = {x: across ? point.x : frame.right, y: down ? point.y : frame.bottom};
    if (!ratio) return drawn(across ? {x: fixed.x, y: frame.top} : {x: frame.left, y: fixed.y}, to, 0, size);
    return resizedAround(frame, across, fixed, point, ratio, size);
}

/**
 * One side is dragged at a ratio: the other two move apart evenly.
 * @param {Frame} frame @param {boolean} across @param {Point} fixed @param {Point} point @param {number} ratio @param {Size} size
 * @returns {Frame}
 */
function resizedAround(frame, across, fixed, point, ratio, size) {
    const middle = {x: (frame.left + frame.right) / 2, y: (frame.top + frame.bottom) / 2};
    if (across) {
        const {left, right} = drawn({x: fixed.x, y: 0}, {x: point.x, y: 0}, 0, size);
        const width = Math.min(right - left, 2 * ratio * Math.min(middle.y, size.height - middle.y));
        const height = width / ratio;
        return {left: point.x >= fixed.x ? fixed.x : fixed.x - width, right: point.x >= fixed.x ? fixed.x + width : fixed.x,
            top: middle.y - height / 2, bottom: middle.y + height / 2};
    }
    const {top, bottom} = drawn({x: 0, y: fixed.y}, {x: 0, y: point.y}, 0, size);
    const height = Math.min(bottom - top, 2 / ratio * Math.min(middle.x, size.width - middle.x));
    const width = height * ratio;
    return {top: point.y >= fixed.y ? fixed.y : fixed.y - height, bottom: point.y >= fixed.y ? fixed.y + height : fixed.y,
        left: middle.x - width / 2, right: middle.x + width / 2};
}

/** The frame at a ratio: around the same middle, with the same area where the image has room. @param {Frame} frame @param {number} ratio 0 for any @param {Size} size @returns {Frame} */
export function atRatio(frame, ratio, size) {
    if (!ratio) return frame;
    const old = sizeOf(frame);
    const width = Math.min(Math.sqrt(old.width * old.height * ratio), size.width, size.height * ratio);
    const height = width / ratio;
    const left = between((frame.left + frame.right - width) / 2, 0, size.width - width);
    const top = between((frame.top + frame.bottom - height) / 2, 0, size.height - height);
    return {left, top, right: left + width, bottom: top + height};
}

/**
 * @param {Frame} frame @param {Point} point @param {number} reach how near to an edge is on it, in image pixels
 * @returns {string} the sides under the point, of n, e, s, w; "move" inside, "" outside
 */
export function handleAt(frame, point, reach) {
    const {left, top, right, bottom} = frame;
    if (point.x < left - reach || point.x > right + reach || point.y < top - reach || point.y > bottom + reach) return "";
    const inner = (/** @type {number} */ length) => Math.min(reach, length / 4);  // a small frame can still be moved
    const vertical = point.y <= top + inner(bottom - top) ? "n" : point.y >= bottom - inner(bottom - top) ? "s" : "";
    const horizontal = point.x <= left + inner(right - left) ? "w" : point.x >= right - inner(right - left) ? "e" : "";
    return vertical + horizontal || "move";
}
