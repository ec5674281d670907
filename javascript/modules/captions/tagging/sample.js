/** What a run would write for one image, with confidences, and the tags that just miss their thresholds. */

import {fill, h} from "../../core/dom.js";

/** @param {[string, number|null]} tag */
const words = ([tag, confidence]) => (confidence === null ? tag : `${tag} ${confidence.toFixed(2)}`);

/**
 * @param {HTMLElement} place @param {import("../../core/types").TagsEvent|null} event nothing is shown if there is none
 */
export function showSample(place, event) {
    place.hidden = !event;
    if (!event) return;
    /** @param {string} title @param {string[]} tags @param {string} kind */
    const row = (title, tags, kind) => (tags.length ? h("div", {class: "tl-sample-row"}, h("p", {class: "tl-note"}, title),
        h("div", {class: "tl-chips"}, tags.map((tag) => h("span", {class: `tl-sample-tag${kind}`}, tag)))) : null);
    fill(place, h("p", {class: "tl-subtitle"}, `${event.image}, as it would be tagged now`),
        event.prose ? h("p", {}, event.prose) : null,
        row("Written", event.tags.map(words), ""),
        row("Not written: below its threshold, of another kind, excluded or implied", event.near.map(words), " tl-sample-near"),
        event.tags.length ? null : h("p", {class: "tl-note"}, "No tag is above its threshold."));
}
