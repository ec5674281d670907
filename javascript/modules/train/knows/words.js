/** What the check of the base says, in words. */

import {format} from "../../core/format.js";

/** @typedef {import("./answers").KnowsPlan} KnowsPlan */
/** @typedef {import("./answers").KnownWord} KnownWord */

/** @type {Record<string, string>} */
const LEVELS = {known: "Known", half: "Half known", unknown: "Unknown", unsure: "Not measured"};

/** @type {Record<string, string>} */
const KINDS = {trigger: "Trigger word", candidate: "Candidate", trait: "Tag"};

/** @param {Pick<KnownWord, "level"|"means_something_else">} word @returns {string} */
export function levelWords({level, means_something_else: other}) {
    return other ? "Means something else" : LEVELS[level] || level;
}

/** @param {Pick<KnownWord, "level"|"means_something_else">} word @returns {string} the color of its badge */
export function levelColor({level, means_something_else: other}) {
    return other ? "bad" : {known: "good", half: "warning"}[level] || "plain";
}

/** @param {string} kind @returns {string} */
export const kindWords = (kind) => KINDS[kind] || kind;

/** @param {string} text words or tags between commas or line ends @returns {string[]} each once */
export function listOf(text) {
    return [...new Set(text.split(/[,\n]/).map((part) => part.trim()).filter(Boolean))];
}

/**
 * @param {KnowsPlan} plan @param {number} words how many are tried @param {number} perWord images of each
 * @returns {string} what will be done, and how long it takes
 */
export function planWords({checkpoint, images, seconds, drawn}, words, perWord) {
    const made = (words + 1) * perWord;
    const pictures = made ? `${checkpoint} generates ${format.plural(made, "image")}: ${perWord} for each of ${format.plural(words, "word")} and ` +
        `${perWord} without any, on the same noise. Then ` : "";
    const loss = `the loss of your ${format.plural(images, "image")} is measured with and without their captions.`;
    const text = pictures ? `${pictures}${loss}` : `${loss[0].toUpperCase()}${loss.slice(1)}`;
    return seconds === null ? text : `${text} About ${format.duration(drawn ? seconds * Math.max(1, made) / Math.max(1, drawn) : seconds)}.`;
}

/** @param {number} surprise 1 is usual @returns {string} */
export function surpriseWords(surprise) {
    if (surprise >= 1.25) return `${surprise.toFixed(1)} × the usual loss: look whether image and caption agree.`;
    if (surprise <= 0.8) return `${surprise.toFixed(1)} × the usual loss: the checkpoint finds it easy.`;
    return `${surprise.toFixed(1)} × the usual loss.`;
}

/** @param {Record<string, string|number|null>} settings @returns {string} such as "10 epochs, trigger word penny" */
export function settingsWords(settings) {
    const parts = [];
    const epochs = settings["training.max_train_epochs"];
    if (epochs) parts.push(format.plural(Number(epochs), "epoch"));
    const word = settings["dataset.activation_tag"];
    if (word) parts.push(`trigger word ${word}`);
    return parts.join(", ");
}
