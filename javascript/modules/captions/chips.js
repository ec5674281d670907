/** The tag chips of an image, and marks where CLIP's chunks of 75 tokens end, in chips and in prose. */

import {h} from "../core/dom.js";
import {format} from "../core/format.js";

export const CHUNK = 75;

/** @typedef {import("./answers").TagFacts} TagFacts */
/** @typedef {import("./answers").PictureFacts} PictureFacts */
/** @typedef {DragEvent & {currentTarget: HTMLElement}} Drag over a chip */
/**
 * @typedef {object} Mark the marks of one tag
 * @property {number} starts the tokens after which a chunk ends right before it, 0 if none does
 * @property {number} cut the tokens after which a chunk ends inside it, 0 if none does
 * @property {boolean} beyond whether it is entirely beyond the token limit
 * @property {boolean} kept whether it is one of the kept tokens, which are not shuffled
 */

/**
 * @param {{begins: number, ends: number}[]} tags in tokens @param {number} limit the trained tokens
 * @param {number} kept the number of kept tags
 * @returns {Mark[]}
 */
export function chunkMarks(tags, limit, kept = 0) {
    let before = 0;  // the last token of the previous tag; the comma after it may be in the next chunk
    return tags.map(({begins, ends}, place) => {
        const chunk = Math.floor(begins / CHUNK);
        const starts = place > 0 && chunk > Math.floor(before / CHUNK) ? chunk * CHUNK : 0;
        const next = (chunk + 1) * CHUNK;
        before = Math.max(before, ends - 1);
        return {starts, cut: ends > next ? next : 0, beyond: begins >= limit, kept: place < kept};
    });
}

/** @param {Mark} mark @returns {HTMLElement|null} the mark before a tag, or in one that is cut */
export function markElement({starts, cut}) {
    const tokens = cut || starts;
    if (!tokens) return null;
    return h("span", {class: "tl-chunk-mark", title: cut ? `Cut in two after token ${cut}` : `A chunk ends here, after token ${starts}`},
        String(tokens));
}

/** @param {Mark} mark @param {number} limit @returns {string} text to append to the chip's title */
export function markWords({starts, cut, beyond, kept}, limit) {
    return [kept ? "Keeps its place when tags are shuffled." : "", starts ? `Begins a chunk, after token ${starts}.` : "",
        cut ? `Cut in two after token ${cut}.` : "", beyond ? `Not trained: it is beyond ${limit} tokens.` : ""]
        .filter(Boolean).join(" ");
}

/**
 * @param {PictureFacts} picture @param {number} limit @param {boolean} shuffled @param {number} kept
 * @param {boolean} exact whether the tokens are counted, not estimated
 * @returns {string} a note on a caption with several chunks; empty if it has one
 */
export function chunkWords({trained_tokens: tokens, prose, tag_list: tags}, limit, shuffled, kept, exact) {
    if (tokens <= CHUNK) return "";
    const beyond = tokens > limit ? ` ${format.plural(tokens - limit, "token")} beyond ${limit} are not trained (Max token length).` : "";
    const free = kept ? `only the first ${kept === 1 ? "one keeps its" : `${kept} keep their`} place, any other` : "any of them";
    const order = shuffled && !prose && tags.length > kept
        ? ` Tags are shuffled in training, so ${free} may end up at a mark.` : "";
    return `CLIP reads ${CHUNK} tokens at a time; marks show where a chunk ends.${exact ? "" : " The tokens are estimated."}${beyond}${order}`;
}

/** The caption with chunk marks. @param {PictureFacts} picture @param {number} limit @returns {HTMLElement[]} */
export function markedText({line, chunk_ends: ends}, limit) {
    const signs = [...line];  // the server counts characters, not UTF-16 units
    /** @type {HTMLElement[]} */
    const pieces = [];
    let at = 0;
    let beyond = false;
    for (const end of [...ends, {at: signs.length, tokens: 0, cut: false}]) {
        pieces.push(h("span", {class: beyond ? "tl-beyond" : null}, signs.slice(at, end.at).join("")));
        if (end.tokens) {
            const word = `${end.cut ? "Cut in this word" : "A chunk ends here"}, after token ${end.tokens}`;
            pieces.push(h("span", {class: `tl-chunk-mark${end.cut ? " tl-chunk-cut" : ""}`, title: word}, String(end.tokens)));
        }
        beyond = end.tokens >= limit;
        at = end.at;
    }
    return pieces;
}

/** @param {PictureFacts} picture @param {number} limit the trained tokens @returns {string} size, bucket, tokens */
export function factsOf(picture, limit) {
    const size = picture.width ? `${picture.width} × ${picture.height}` : "";
    const bucket = picture.bucket ? `trained at ${picture.bucket[0]} × ${picture.bucket[1]}` : "";
    const tokens = picture.text ? `${format.number(picture.trained_tokens)} of ${limit} tokens` : "";
    return [size, bucket, tokens].filter(Boolean).join(" · ");
}

/** @param {string[]} tags @param {string} tag @param {number} place the old index @returns {number} the index now */
export function placeOf(tags, tag, place) {
    return tags[place] === tag ? place : tags.indexOf(tag);
}

/** @param {Drag} event */
export function isAfter(event) {
    const box = event.currentTarget.getBoundingClientRect();
    return event.clientX > box.left + box.width / 2;
}

/** @param {PictureFacts} picture @returns {import("../core/types").Finding[]} the caption's problems */
export function problemsOf(picture) {
    /** @type {import("../core/types").Finding[]} */
    const found = [];
    if (picture.problem) found.push({level: "error", text: picture.problem});
    if (picture.weight_problem) found.push({level: "error", text: picture.weight_problem});
    if (picture.lines > 1) found.push({level: "warning", text: "Only the first line is trained on."});
    if (picture.shared) found.push({level: "info", text: `Another image has the same caption, ${picture.caption_path}.`});
    return found;
}
