/** Where a generated image comes from: the LoRAs in its prompt, the run that saved one of them, and the run's set; and its sizes. */

/** @typedef {{folder: string, trigger: string, settings: Record<string, string>, ofRun: boolean}} Origin `ofRun`: known from a run */
/** @typedef {{id: string, saved?: {path: string}[]}} SavedBy */

/** @param {string} prompt @returns {string[]} the names of the LoRAs in it, the last one first */
export function lorasIn(prompt) {
    return [...prompt.matchAll(/<(?:lora|lyco):([^:<>]+)/gi)].map((found) => found[1].trim()).reverse();
}

/** @param {string} path @returns {string} the name of a file without folder and extension */
const stemOf = (path) => (path.split(/[\\/]/).pop() || "").replace(/\.safetensors$/i, "");

/**
 * @param {readonly SavedBy[]} runs newest first @param {string} prompt
 * @returns {string} the run that saved a LoRA of the prompt, empty for none
 */
export function runOfPrompt(runs, prompt) {
    const names = lorasIn(prompt);
    for (const name of names) {
        const run = runs.find(({saved}) => (saved || []).some(({path}) => stemOf(path) === name));
        if (run) return run.id;
    }
    return "";
}

/** @param {unknown} job the settings of a run, maybe damaged @returns {Origin|null} null if it names no folder */
export function originOf(job) {
    const dataset = /** @type {Record<string, unknown>} */ (/** @type {{dataset?: object}} */ (job || {}).dataset || {});
    const text = (/** @type {string} */ name) => (typeof dataset[name] === "string" ? String(dataset[name]) : "");
    if (!text("train_data_dir")) return null;
    /** @type {Record<string, string>} */
    const settings = {};
    for (const name of ["caption_extension", "caption_separator"]) if (text(name)) settings[name] = text(name);
    return {folder: text("train_data_dir"), trigger: text("activation_tag").trim(), settings, ofRun: true};
}

/** @param {number} width @param {number} height @param {number} most the longest side @returns {{width: number, height: number}} */
export function sizeWithin(width, height, most) {
    const scale = Math.min(1, most / Math.max(width, height, 1));
    return {width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale))};
}

/** The part of an image's shorter side that a click marks. */
const CLICKED = 0.3;

/**
 * @param {{x: number, y: number}} point in an image @param {{width: number, height: number}} size of the image
 * @returns {{left: number, top: number, right: number, bottom: number}} a square around the point, moved into the image
 */
export function frameAround({x, y}, {width, height}) {
    const side = CLICKED * Math.min(width, height);
    const left = Math.min(Math.max(0, x - side / 2), width - side);
    const top = Math.min(Math.max(0, y - side / 2), height - side);
    return {left, top, right: left + side, bottom: top + side};
}
