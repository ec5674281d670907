/** The loss by noise level, from the step events: smoothed curves, and what the run started from. */

/** @typedef {[number|null, number]} Band mean loss of a step in a band, and its number of images */
/** @typedef {{low: number, mean: number, high: number}} Range */

const LOW = 0.1;
const HIGH = 0.9;
const FEWEST_IMAGES = 4;
const ENOUGH_IMAGES = 24;
const START_SHARE = 0.1;

/** @param {unknown} value @returns {value is Band[]} whether a step event has usable bands */
export function isBands(value) {
    return Array.isArray(value) && value.every((band) => Array.isArray(band) && band.length === 2 &&
        (band[0] === null || typeof band[0] === "number") && typeof band[1] === "number");
}

/**
 * The smoothed loss of each band: a moving average over images, so that a step counts by how many it drew.
 * @param {(Band[]|null)[]} steps the bands of each step @param {number} weight of the past, 0 to below 1
 * @returns {number[][]} for each band, one value per step; NaN until its first image
 */
export function bandCurves(steps, weight) {
    const count = Math.max(0, ...steps.map((bands) => (bands ? bands.length : 0)));
    return Array.from({length: count}, (_, place) => {
        let sum = 0;
        let images = 0;
        return steps.map((bands) => {
            const [loss, drawn] = bands && bands[place] ? bands[place] : [null, 0];
            if (loss !== null && drawn) {
                sum = weight * sum + (1 - weight) * loss * drawn;
                images = weight * images + (1 - weight) * drawn;
            }
            return images ? sum / images : NaN;
        });
    });
}

/**
 * The loss of each band in the first steps, when the LoRA has hardly changed the base model.
 * @param {(Band[]|null)[]} steps the bands of each step @param {number} total steps of the run
 * @returns {(Range & {images: number}|null)[]} null for a band with too few images
 */
export function startOf(steps, total) {
    const count = Math.max(0, ...steps.map((bands) => (bands ? bands.length : 0)));
    const first = steps.slice(0, Math.max(FEWEST_IMAGES, Math.ceil(START_SHARE * total)));
    return Array.from({length: count}, (_, place) => {
        /** @type {number[]} */
        const losses = [];
        for (const bands of first) {
            const [loss, drawn] = bands && bands[place] ? bands[place] : [null, 0];
            if (loss !== null) losses.push(...Array(drawn).fill(loss));
            if (losses.length >= ENOUGH_IMAGES) break;
        }
        return losses.length < FEWEST_IMAGES ? null : {...rangeOf(losses), images: losses.length};
    });
}

/** @param {number[]} losses @returns {Range} the mean, and where the middle 80 % lie */
export function rangeOf(losses) {
    const sorted = [...losses].sort((one, other) => one - other);
    const at = (/** @type {number} */ share) => sorted[Math.round(share * (sorted.length - 1))];
    return {low: at(LOW), mean: losses.reduce((sum, loss) => sum + loss, 0) / losses.length, high: at(HIGH)};
}

/** @param {{family: string, prediction: string, zero_terminal_snr: boolean}} noise @returns {string} "SDXL, v prediction" */
export function kindOfModel({family, prediction, zero_terminal_snr: zero}) {
    return `${family}, ${prediction === "v_prediction" ? "v" : "epsilon"} prediction${zero ? ", zero-terminal SNR" : ""}`;
}

/** @param {number[]} losses of the bands, low noise first; NaN if unknown @returns {string} empty for fewer than two */
export function noiseWords(losses) {
    const known = losses.map((loss, band) => ({loss, name: BAND_NAMES[band].toLowerCase()})).filter(({loss}) => Number.isFinite(loss));
    if (known.length < 2) return "";
    const [lowest, highest] = [known.reduce((one, other) => (other.loss < one.loss ? other : one)),
        known.reduce((one, other) => (other.loss > one.loss ? other : one))];
    return `The loss is mostly noise level: ${highest.name} averages ${short(highest.loss)} and ${lowest.name} ` +
        `${short(lowest.loss)}, whatever has been learned. So single steps jump with the noise that they draw; compare a band ` +
        "only with itself.";
}

export const BAND_NAMES = ["Low noise", "Middle noise", "High noise"];

/** @param {number} loss @returns {string} 0.31, 0.042 */
export function short(loss) {
    return String(Number(loss.toPrecision(loss < 0.1 ? 2 : 3)));
}
