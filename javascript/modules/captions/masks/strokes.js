/** The geometry of a brush, and changes of a whole mask. A mask is a list of levels, row by row: 255 is trained. */

/** @typedef {{x: number, y: number}} Point */
/** @typedef {{width: number, height: number}} Size */
/** @typedef {{left: number, top: number, width: number, height: number}} Box in whole pixels */

export const SMALLEST_BRUSH = 2;
export const LARGEST_BRUSH = 1000;
/** The longest side of the mask while it is painted; it is saved at the size of its image. */
const MOST_SIDE = 2048;
const SIZE_STEP = 1.2;
/** Stamps of the brush lie this share of its radius apart, so that the edge of a stroke is smooth. */
const SPACING = 0.15;

/** @param {Size} image @returns {Size} the size at which its mask is painted */
export function paintedSize({width, height}) {
    const scale = Math.min(1, MOST_SIDE / Math.max(width, height));
    return {width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale))};
}

/** @param {number} size of the brush @param {1|-1} direction @returns {number} the next larger or smaller size */
export function nextSize(size, direction) {
    const next = direction > 0 ? Math.max(size + 1, Math.round(size * SIZE_STEP)) : Math.min(size - 1, Math.round(size / SIZE_STEP));
    return Math.min(LARGEST_BRUSH, Math.max(SMALLEST_BRUSH, next));
}

/** @param {number} size @param {string} pointer its type @param {number} pressure 0 to 1 @returns {number} a pen's size by its pressure */
export function pressedSize(size, pointer, pressure) {
    return pointer === "pen" && pressure > 0 ? Math.max(1, size * (0.2 + 0.8 * pressure)) : size;
}

/**
 * @param {Point} from where the last stamp is @param {Point} to @param {number} radius of the brush
 * @returns {Point[]} where the brush is stamped on the way, ending at `to`
 */
export function stampsBetween(from, to, radius) {
    const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / Math.max(0.5, radius * SPACING)));
    return Array.from({length: steps}, (_, step) => {
        const share = (step + 1) / steps;
        return {x: from.x + (to.x - from.x) * share, y: from.y + (to.y - from.y) * share};
    });
}

/** @param {Box|null} one @param {Box|null} other @returns {Box|null} the smallest box around both */
export function joined(one, other) {
    if (!one || !other) return one || other;
    const left = Math.min(one.left, other.left);
    const top = Math.min(one.top, other.top);
    return {left, top, width: Math.max(one.left + one.width, other.left + other.width) - left,
        height: Math.max(one.top + one.height, other.top + other.height) - top};
}

/** @param {Point} at @param {number} radius @param {Size} size of the mask @returns {Box|null} the touched pixels, null for none */
export function touched(at, radius, size) {
    const left = Math.max(0, Math.floor(at.x - radius));
    const top = Math.max(0, Math.floor(at.y - radius));
    const right = Math.min(size.width, Math.ceil(at.x + radius));
    const bottom = Math.min(size.height, Math.ceil(at.y + radius));
    return right > left && bottom > top ? {left, top, width: right - left, height: bottom - top} : null;
}

/** @param {Uint8Array} levels @returns {Uint8Array} */
export function inverted(levels) {
    return levels.map((level) => 255 - level);
}

/** @param {Uint8Array} levels @returns {number} the trained share, 0 to 1 */
export function trainedShare(levels) {
    let sum = 0;
    for (const level of levels) sum += level;
    return levels.length ? sum / levels.length / 255 : 0;
}

/**
 * Soften the edges: the mean over squares of `2 * radius + 1` pixels, twice, which is nearly a Gaussian blur. Outside
 * of the image the mask goes on as at its edge.
 * @param {Uint8Array} levels @param {Size} size @param {number} radius in pixels @returns {Uint8Array}
 */
export function softened(levels, size, radius) {
    /** @type {Float64Array<ArrayBufferLike>} */
    let found = Float64Array.from(levels);
    for (let pass = 0; pass < 2; pass += 1) {
        found = means(found, size.height, size.width, size.width, 1, radius);
        found = means(found, size.width, size.height, 1, size.width, radius);
    }
    return Uint8Array.from(found, (level) => Math.round(level));
}

/**
 * The mean of `2 * radius + 1` neighbours along lines.
 * @param {Float64Array} values @param {number} lines how many @param {number} length of each
 * @param {number} lineStep from one line to the next @param {number} step from one value to the next @param {number} radius
 */
function means(values, lines, length, lineStep, step, radius) {
    const found = new Float64Array(values.length);
    for (let line = 0; line < lines; line += 1) {
        const start = line * lineStep;
        const at = (/** @type {number} */ place) => values[start + Math.min(length - 1, Math.max(0, place)) * step];
        let sum = 0;
        for (let place = -radius; place <= radius; place += 1) sum += at(place);
        for (let place = 0; place < length; place += 1) {
            found[start + place * step] = sum / (2 * radius + 1);
            sum += at(place + radius + 1) - at(place - radius);
        }
    }
    return found;
}
