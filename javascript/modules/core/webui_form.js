/** The webui's own tabs and the controls of their forms. */

/** @param {string} selector of a text box @param {string} text @returns {HTMLTextAreaElement|null} null if it is not on the page */
export function fillText(selector, text) {
    const box = /** @type {HTMLTextAreaElement|null} */ (document.querySelector(selector));
    if (!box) return null;
    box.value = text;
    box.dispatchEvent(new Event("input", {bubbles: true}));
    return box;
}

/** @param {string} selector of one of the webui's sliders, if it is on the page @param {number|undefined} value */
export function setNumber(selector, value) {
    const box = /** @type {HTMLInputElement|null} */ (document.querySelector(`${selector} input[type=number]`));
    if (!box || !value || box.value === String(value)) return;
    box.value = String(value);
    box.dispatchEvent(new Event("input", {bubbles: true}));
}

/** @param {string} panelId of the tab, whose title may be translated @param {string} title @returns {boolean} whether it is there */
export function openWebuiTab(panelId, title) {
    /** @type {HTMLElement[]} */
    const buttons = [...document.querySelectorAll("#tabs > .tab-nav > button")].filter((one) =>
        one instanceof HTMLElement);
    const panels = [...document.querySelectorAll("#tabs > .tabitem")];
    const button = buttons.find((candidate) => (candidate.textContent || "").trim() === title) ||
        buttons[panels.findIndex((panel) => panel.id === panelId)];
    button?.click();
    return Boolean(button);
}
