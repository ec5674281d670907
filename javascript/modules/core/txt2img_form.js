/** The current values of the webui's txt2img form, from gradio. */

const BUTTON = "train_lora_txt2img";  // a click makes gradio send the values; see ui/tab.py
const PATIENCE = 3000;

/** @typedef {Record<string, unknown>} Txt2imgForm values of gradio's types, by their names in the webui's API */

/** @type {((form: Txt2imgForm|null) => void)[]} */
let waiting = [];

/** @param {string[]} names of the webui's API @param {unknown[]} values */
function takeTxt2img(names, values) {
    const form = Object.fromEntries(names.map((name, index) => [name, cleaned(values[index])]));
    waiting.forEach((resolve) => resolve(form));
    waiting = [];
}

/**
 * Turn an empty box into null; the seed's may be a text box.
 * @param {unknown} value
 */
function cleaned(value) {
    return value === "" || value === undefined || Number.isNaN(value) ? null : value;
}

/** @returns {Promise<Txt2imgForm|null>} null if the webui does not provide it */
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
