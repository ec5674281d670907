/** The queue of images that the webui generates for the tab: plots, regularization images and test strips. */

import {api, fill, h, on, setText} from "./dom.js";
import {drawingWords} from "./drawing_words.js";
import {button} from "./parts.js";
import {poll} from "./shell.js";

/** @typedef {import("./types").DrawingFacts} DrawingFacts */

/** @type {Set<DrawingList>} */
const lists = new Set();
/** @type {DrawingFacts[]} */
let queue = [];

const poller = poll(async () => show((await api("drawings", {quiet: true})).queue), () => (queue.length ? 1 : 5), 20);
on("mounted", poller.wake);

/** Poll now, for example after queueing a job. */
export const refreshDrawings = poller.wake;

/** @param {DrawingFacts[]} now */
function show(now) {
    queue = now;
    for (const list of lists) list.show(now);
}

/** @param {string} id */
function cancel(id) {
    api(`drawings/${id}/cancel`, {body: {}}).then((answer) => show(answer.queue), () => {});
}

export class DrawingList {
    constructor() {
        this.rows = h("ul", {class: "tl-drawings"});
        this.element = h("section", {class: "tl-card tl-drawing-card", hidden: true,
            "aria-label": "Generating in the webui"},
            h("p", {class: "tl-subtitle"}, "Generating in the webui"), this.rows);
        /** @type {Map<string, {element: HTMLElement, update: (facts: DrawingFacts) => void}>} */
        this.known = new Map();
        lists.add(this);
        this.show(queue);
    }

    /** @param {DrawingFacts[]} now */
    show(now) {
        this.element.hidden = now.length === 0;
        const rows = now.map((facts) => {
            const row = this.known.get(facts.id) || makeRow(facts);
            row.update(facts);
            return /** @type {const} */ ([facts.id, row]);
        });
        const same = [...this.known.keys()].join() === now.map(({id}) => id).join();
        this.known = new Map(rows);
        if (!same) fill(this.rows, rows.map(([, row]) => row.element));
    }
}

/** @param {DrawingFacts} facts */
function makeRow({id, title}) {
    const words = h("span", {class: "tl-note", role: "status"});
    const fillBar = h("div", {class: "tl-bar-fill"});
    const bar = h("div", {class: "tl-bar", role: "progressbar", "aria-label": title, "aria-valuemin": "0",
        "aria-valuemax": "100"}, fillBar);
    const element = h("li", {data: {id}}, h("div", {class: "tl-row"}, h("span", {class: "tl-drawing-title"}, title), words,
        button("Cancel", {small: true, kind: "quiet", click: () => cancel(id)})), bar);
    const update = (/** @type {DrawingFacts} */ now) => {
        setText(words, drawingWords(now));
        bar.hidden = now.state === "queued" && !now.done;
        fillBar.style.width = `${(100 * now.share).toFixed(1)}%`;
        bar.setAttribute("aria-valuenow", String(Math.round(100 * now.share)));
    };
    return {element, update};
}
