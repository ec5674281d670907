/** What stands in the webui's txt2img form now, as gradio knows it. */
"use strict";

(() => {
    const TL = window.TrainLora;

    const BUTTON = "train_lora_txt2img";  // gradio hands the values over when it is clicked; see ui/tab.py
    const PATIENCE = 3000;

    /** @type {((values: any) => void)[]} */
    let waiting = [];

    /**
     * Called by gradio.
     * @param {string[]} names of the webui's API @param {any[]} values
     * @returns {any[]} nothing for gradio to change
     */
    function takeTxt2img(names, values) {
        const form = Object.fromEntries(names.map((name, index) => [name, cleaned(values[index])]));
        waiting.forEach((resolve) => resolve(form));
        waiting = [];
        return [];
    }

    /** An empty box is null to us, and a seed may be typed into a box for text. */
    function cleaned(value) {
        return value === "" || value === undefined || Number.isNaN(value) ? null : value;
    }

    /** @returns {Promise<any>} the form by the names of the webui's API; null where the webui does not tell it */
    function readTxt2img() {
        const button = document.getElementById(BUTTON);
        if (!button) return Promise.resolve(null);
        return new Promise((resolve) => {
            waiting.push(resolve);
            setTimeout(() => resolve(null), PATIENCE);
            button.click();
        });
    }

    Object.assign(TL, {takeTxt2img, readTxt2img});
})();
