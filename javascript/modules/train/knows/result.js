/** The result of a check: what follows, the images of each word, and how surprising each image of the set is. */

import {h, url} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {lightbox} from "../../core/lightbox.js";
import {button, findings, fold, toast} from "../../core/parts.js";
import {form} from "../form.js";
import {setLength} from "../goal/planned.js";
import {kindWords, levelColor, levelWords, settingsWords, surpriseWords} from "./words.js";

/** @typedef {import("./answers").KnowsResult} KnowsResult */
/** @typedef {import("./answers").KnownWord} KnownWord */

const FEW = 12;

/** @param {KnowsResult} result @returns {HTMLElement} */
export function resultView(result) {
    const outdated = result.outdated.map((text) => ({level: /** @type {const} */ ("warning"), text: `Outdated: ${text} Check again.`}));
    const missing = (result.missing || []).map((text) => ({level: /** @type {const} */ ("warning"), text}));
    return h("div", {class: "tl-knows-result", id: "tl_knows_result"},
        h("p", {class: "tl-note"}, `Checked ${format.when(result.created)} with ${result.checkpoint.split(/[\\/]/).pop()}` +
            `${result.tagger ? ` and ${result.tagger.split(/[\\/]/).pop()}` : ", without a tagger"}.`),
        outdated.length || missing.length ? findings([...outdated, ...missing]) : null, advice(result), grid(result), surprises(result), numbers(result));
}

/** @param {KnowsResult} result */
function advice({advice: {sentences, settings, images_seen: imagesSeen}}) {
    return h("section", {class: "tl-knows-advice", "aria-label": "What follows"},
        h("ul", {}, sentences.map((text) => h("li", {}, text))),
        h("p", {class: "tl-note"}, "Make a plan, at the top of Train, uses this result too."),
        button(`Use ${settingsWords(settings)}`, {kind: "primary", small: true, id: "tl_knows_use", click: () => {
            setLength(imagesSeen);
            form.setAll(settings);
            toast("good", `Filled in: ${settingsWords(settings)}.`);
        }}));
}

/** @param {KnowsResult} result */
function grid(result) {
    const rows = result.words.map((word) => row(result, word));
    return h("section", {class: "tl-knows-grid", "aria-label": "Images of each word"},
        result.alone.length ? h("div", {class: "tl-knows-row"}, h("div", {class: "tl-knows-name"}, h("b", {}, "No word"),
            h("p", {class: "tl-note"}, result.prompt ? `Only the prompt: ${result.prompt}` : "An empty prompt, on the same noise.")),
        strip(result.id, result.alone, "No word", result.prompt)) : null, rows);
}

/** @param {KnowsResult} result @param {KnownWord} word */
function row({id}, word) {
    const tags = word.tags.map(([tag, share]) => `${tag} ${Math.round(100 * share)} %`).join(", ");
    return h("div", {class: "tl-knows-row", data: {word: word.word, level: word.level}},
        h("div", {class: "tl-knows-name"}, h("span", {class: "tl-note"}, kindWords(word.kind)), h("b", {}, word.word),
            h("span", {class: "tl-knows-level", data: {color: levelColor(word)}}, levelWords(word)),
            tags ? h("p", {class: "tl-note"}, `Comes out: ${tags}`) : null, h("p", {class: "tl-note"}, word.reason)),
        strip(id, word.pictures, word.word, word.reason));
}

/** @param {string} id @param {string[]} pictures @param {string} title @param {string} text */
function strip(id, pictures, title, text) {
    const items = pictures.map((path) => ({src: url(`runs/${encodeURIComponent(id)}/file?path=${encodeURIComponent(path)}`), title, text}));
    return h("div", {class: "tl-knows-strip"}, items.map(({src}, index) => h("button", {type: "button", class: "tl-thumb",
        "aria-label": `Enlarge image ${index + 1} of ${title}`, on: {click: (event) => lightbox(items, index, {opener: event.currentTarget})}},
    h("img", {src, alt: title, loading: "lazy", decoding: "async"}))));
}

/** @param {KnowsResult} result */
function surprises({images, image_count: count}) {
    if (!images.length) return null;
    const items = images.map(({url: src, path, caption, surprise}) => ({src: src.replace(/([?&]size=)\d+/, "$11024"), title: path,
        text: `${surpriseWords(surprise)} ${caption}`}));
    const most = Math.max(...images.map(({surprise}) => surprise));
    const tile = (/** @type {number} */ index) => {
        const {url: src, path, caption, surprise} = images[index];
        return h("button", {type: "button", class: "tl-knows-image", title: `${path}\n${caption}\n${surpriseWords(surprise)}`,
            "aria-label": `${path}: ${surpriseWords(surprise)}`, on: {click: (event) => lightbox(items, index, {opener: event.currentTarget})}},
        h("img", {src, alt: path, loading: "lazy", decoding: "async"}),
        h("span", {class: "tl-knows-bar", style: `width: ${Math.round(100 * surprise / most)}%`}), h("span", {}, `${surprise.toFixed(2)} ×`));
    };
    const all = images.map((_, index) => tile(index));
    return h("section", {class: "tl-knows-surprise", "aria-label": "How surprising each image is"},
        h("h4", {}, "Most surprising images first"), h("p", {class: "tl-note"}, "The loss with its caption, compared with the set's usual one at " +
            `the same noise. High: the checkpoint has not seen anything like it, or the caption says something else.${count > images.length ?
                ` The first ${images.length} of ${count}.` : ""}`),
        h("div", {class: "tl-knows-images"}, all.slice(0, FEW)),
        all.length > FEW ? fold(`${format.plural(all.length - FEW, "more image")}`, h("div", {class: "tl-knows-images"}, all.slice(FEW))) : null);
}

/** @param {KnowsResult} result */
function numbers({words}) {
    return fold("Numbers", h("div", {class: "tl-table-scroll"}, h("table", {class: "tl-table"},
        h("thead", {}, h("tr", {}, ["Word", "Verdict", "Comes out", "Loss with it", "Certainty (t)", "On images"].map((title) =>
            h("th", {scope: "col"}, title)))),
        h("tbody", {}, words.map((word) => h("tr", {}, h("td", {}, word.word), h("td", {}, levelWords(word)),
            h("td", {}, word.score === null ? "–" : `${Math.round(100 * word.score)} %`),
            h("td", {}, word.gain ? `${word.gain.share > 0 ? "−" : "+"}${Math.abs(100 * word.gain.share).toFixed(1)} %` : "–"),
            h("td", {}, word.gain ? word.gain.certainty.toFixed(1) : "–"), h("td", {}, word.gain ? word.gain.images : "–")))))));
}
