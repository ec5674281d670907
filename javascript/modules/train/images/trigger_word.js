/**
 * The trigger word of the folder: stored by the server for the folder, so that every browser gets it. Each note shows
 * where it comes from and the alternatives.
 */

import {api, emit, fill, h, later, on, setText} from "../../core/dom.js";
import {button, unread} from "../../core/parts.js";
import {form} from "../form.js";

/** @typedef {import("../answers").TriggerFacts} TriggerFacts */

const FOLDER = "dataset.train_data_dir";
const WORD = "dataset.activation_tag";

/** @type {TriggerFacts|null} facts about the folder that was loaded last */
let known = null;
/** The folder of `known`, as in the form. */
let folder = "";
/** A word entered by the user that is not saved for a folder yet; `old`, from an earlier version, does not override. */
let waiting = {is: false, old: false};
let taking = false;
/** @type {unknown} why the word of the folder is not known, null if nothing failed */
let failure = null;
/** @type {(() => void)[]} */
const notes = [];

const showNotes = () => notes.forEach((show) => show());

/** Saves the current word for the folder. */
async function keep() {
    if (!waiting.is || !known || folder !== form.text(FOLDER).trim()) return;
    const word = form.text(WORD).trim();
    waiting = {is: false, old: false};
    if (word === known.word) return;
    const given = known.others.find((one) => one.word === word);
    const before = known.source && known.source !== "you" ? [{word: known.word, source: known.source, text: known.text}] : [];
    known = {...known, word, source: "you", text: word ? "Set by you for this folder." : "You left it empty for this folder.",
        others: [...before, ...known.others].filter((one) => one.word !== word)};
    if (given) known.text = `${given.text.replace(/\.$/, "")}, chosen by you.`;
    showNotes();
    try {
        await api("dataset/trigger-word", {body: {folder, word}});
    } catch {
        // already reported by a toast
    }
}

const keepSoon = later(keep, 400);

on("setting", ({keys}) => {
    if (keys.includes(FOLDER)) showNotes();
    if (!keys.includes(WORD) || taking) return;
    waiting = {is: Boolean(known || form.text(WORD)), old: false};  // an empty word is no choice for a folder to come
    keepSoon();
});

on("dataset-failed", (error) => {
    failure = error;
    showNotes();
});

on("dataset", (found) => {
    failure = null;
    if (!found) {
        known = null;
        showNotes();
        return;
    }
    known = found.trigger_word;
    folder = form.text(FOLDER).trim();
    if (waiting.is && waiting.old && known.source === "you") waiting = {is: false, old: false};
    if (waiting.is) keep();
    else if (form.text(WORD) !== known.word) {
        taking = true;
        form.set(WORD, known.word);
        taking = false;
    }
    showNotes();
});

form.load().then(() => {
    if (form.text(WORD)) waiting = {is: true, old: true};
}, () => {});

/** @returns {HTMLElement} where the word comes from, and a button for each alternative */
export function triggerNote() {
    const text = h("span", {});
    const choices = h("span", {class: "tl-trigger-others"});
    const failed = h("div", {});
    const element = h("div", {class: "tl-trigger-note", role: "status", hidden: true}, text, choices, failed);
    notes.push(() => {
        const current = known && folder === form.text(FOLDER).trim() ? known : null;
        const others = current ? current.others.slice(0, 3) : [];
        element.hidden = !failure && (!current || !(current.text || current.problem || others.length));
        fill(failed, failure ? unread("The trigger word of this folder", failure, () => emit("reload")) : null);
        setText(text, current ? [current.text, current.problem].filter(Boolean).join(" ") : "");
        fill(choices, others.map(({word, text: why}) => button(`Use ${word}`, {kind: "quiet", small: true, title: why,
            click: () => form.set(WORD, word)})));
    });
    showNotes();
    return element;
}
