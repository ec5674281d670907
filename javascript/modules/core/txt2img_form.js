/** The current values of the webui's txt2img form, as gradio knows them. */

const BUTTON = "train_lora_txt2img";  // gradio hands the values over when it is clicked; see ui/tab.py
const PATIENCE = 3000;

/** @typedef {Record<string, unknown>} Txt2imgForm by the names of the webui's API, of whatever kind gradio has them */

/** @type {((form: Txt2imgForm|null) => void)[]} */
let waiting = [];

/** @param {string[]} names of the webui's API @param {unknown[]} values */
function takeTxt2img(names, values) {
    const form = Object.fromEntries(names.map((name, index) => [name, cleaned(values[index])]));
    waiting.forEach((resolve) => resolve(form));
    waiting = [];
}

/**
 * An empty box is null to us, and a seed may be typed into a box for text.
 * @param {unknown} value
 */
function cleaned(value) {
    return value === "" || value === undefined || Number.isNaN(value) ? null : value;
}

/** @returns {Promise<Txt2imgForm|null>} null where the webui does not tell it */
export function readTxt2img() {
    const button = document.getElementById(BUTTON);
    if (!button) return Promise.resolve(null);
    return new Promise((resolve) => {
        waiting.push(resolve);
        setTimeout(() => resolve(null), PATIENCE);
        button.click();
    });
}

document.addEventListener("train-lora-txt2img", (event) => {
    const {names, values} = /** @type {CustomEvent} */ (event).detail;
    takeTxt2img(names, values);
});
