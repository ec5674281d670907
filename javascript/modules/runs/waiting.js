/** Explains beside a waiting image that the GPU is lent to a run. */

import {api, h, setText} from "../core/dom.js";

const SECONDS = 1;
const MOST_FAILURES = 30;
const STYLE = "margin: 0 0 8px; padding: 8px 12px; border-left: 3px solid var(--color-accent); " +
    "background: var(--block-background-fill); color: var(--body-text-color);";
/** @type {Map<string, HTMLElement>} the shown notes, by tab */
const notes = new Map();

/** @param {string} tab txt2img or img2img @param {string} text */
function show(tab, text) {
    /** @type {HTMLElement} */
    const note = notes.get(tab) ||
        h("p", {class: "tl-waiting", id: `tl_waiting_${tab}`, role: "status", style: STYLE});
    notes.set(tab, note);
    if (!note.isConnected) {
        const results = document.querySelector(`#${tab}_results`);
        if (results) results.prepend(note);
        else document.querySelector(`#${tab}_generate`)?.after(note);
    }
    setText(note, text);
}

/** @param {string} tab */
function forget(tab) {
    const note = notes.get(tab);
    if (note) note.remove();
    notes.delete(tab);
}

/** @param {string} tab @param {number} [failures] requests in a row that failed */
async function watch(tab, failures = 0) {
    let busy = null;
    let failed = 0;
    try {
        ({busy} = await api("busy", {quiet: true}));
    } catch {
        failed = failures + 1;  // the image may still be waiting; a webui that is gone stays so
    }
    if (busy) show(tab, busy.text);
    else if (!failed || !notes.has(tab) || failed > MOST_FAILURES) {
        forget(tab);
        return;
    }
    setTimeout(() => watch(tab, failed), 1000 * SECONDS);
}

document.addEventListener("click", (event) => {
    const button = event.target instanceof Element && event.target.closest("#txt2img_generate, #img2img_generate");
    const tab = button && button.id.replace("_generate", "");
    if (tab && !notes.has(tab)) watch(tab);
}, true);
