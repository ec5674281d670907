/** Pictures from before and after a tool, drawn by the webui with the same prompt and seed. */

import {api, failureOf, fill, h, setText, store} from "../core/dom.js";
import {drawingWords} from "../core/drawing_words.js";
import {lightbox} from "../core/lightbox.js";
import {button} from "../core/parts.js";
import {poll} from "../core/shell.js";
import {readTxt2img} from "../core/txt2img_form.js";
import {runs} from "../runs/watch.js";
import {promptChoice} from "../testing/prompt_sets.js";

/** @typedef {import("./answers").ToolPictures} ToolPictures */

const SAME = 0.5;  // of 255: less cannot be seen

export class BeforeAfter {
    constructor() {
        this.id = "";
        /** @type {ToolPictures|null} */
        this.facts = null;
        this.drawn = "";
        this.prompt = h("input", {type: "text", class: "tl-input", id: "tl_tool_prompt", value: store.get("tool_prompt", ""),
            placeholder: "A prompt, drawn as txt2img is set", on: {input: () => store.set("tool_prompt", this.prompt.value)}});
        this.start = button("Generate", {small: true, id: "tl_tool_draw", click: () => this.begin()});
        this.stop = button("Stop", {small: true, kind: "danger", icon: "stop", hidden: true, click: () => this.end()});
        this.said = h("p", {class: "tl-note", role: "status"});
        this.problem = h("p", {class: "tl-field-problem", role: "alert"});
        this.shots = h("div", {class: "tl-tool-shots"});
        this.element = h("div", {class: "tl-tool-pictures", id: "tl_tool_pictures", hidden: true},
            h("label", {class: "tl-label", for: "tl_tool_prompt"}, "Images from before and after"),
            h("div", {class: "tl-row"}, this.prompt, this.start, this.stop), promptChoice((prompt) => {
                this.prompt.value = prompt;
                store.set("tool_prompt", prompt);
            }), this.problem, this.shots, this.said);
        this.poller = poll(() => this.ask(), () => (this.facts && this.facts.drawing ? 1 : 0));
    }

    /** @param {string} id of the run, empty for none */
    show(id) {
        this.id = id;
        this.element.hidden = true;
        this.facts = null;
        setText(this.problem, "");
        if (id) this.poller.wake();
    }

    /** @template {string} I @param {I} id @returns {`tools/runs/${string}/pictures`} */
    path(id) {
        return `tools/runs/${encodeURIComponent(id)}/pictures`;
    }

    async ask() {
        const {id} = this;
        if (!id) return;
        const facts = await api(this.path(id), {quiet: true});
        if (id === this.id) this.take(facts);
    }

    /** @param {ToolPictures} facts */
    take(facts) {
        this.facts = facts;
        this.element.hidden = !facts.possible && !facts.pictures.length;
        const {drawing, pictures, difference} = facts;
        this.start.hidden = drawing !== null;
        this.stop.hidden = drawing === null;
        if (!this.prompt.value && facts.prompt) this.prompt.value = facts.prompt;
        if (facts.error) setText(this.problem, facts.error);
        setText(this.said, drawing ? drawingWords(drawing) : difference === null ? "" : inWords(difference));
        const key = pictures.map(({path}) => path).join();
        if (key === this.drawn) return;
        this.drawn = key;
        const items = pictures.map(({heading, path}) => ({src: runs.fileUrl(this.id, path), title: heading, text: facts.prompt}));
        fill(this.shots, items.map((item, index) => h("figure", {}, h("button", {type: "button", "aria-label": `Enlarge ${item.title}`,
            on: {click: (event) => lightbox(items, index, {opener: event.currentTarget})}}, h("img", {src: item.src,
            alt: `${item.title}: ${item.text}`})), h("figcaption", {class: "tl-note"}, item.title))));
    }

    async begin() {
        setText(this.problem, "");
        this.start.disabled = true;
        try {
            const txt2img = await readTxt2img();
            this.take(await api(this.path(this.id), {body: {prompt: this.prompt.value, txt2img}, quiet: true}));
            this.poller.wake();
        } catch (error) {
            setText(this.problem, failureOf(error).message);
        }
        this.start.disabled = false;
    }

    async end() {
        const drawing = this.facts && this.facts.drawing;
        if (drawing) await api(`drawings/${drawing.id}/cancel`, {method: "POST", body: {}}).catch(() => null);
        this.poller.wake();
    }
}

/** @param {number} difference of the first and the last picture, 0 to 255 @returns {string} */
function inWords(difference) {
    if (difference === 0) return "The first and the last image are the same.";
    if (difference < SAME) return "The first and the last image differ by less than can be seen.";
    return `The first and the last image differ by ${Number(difference.toPrecision(2))} of 255 on average.`;
}
