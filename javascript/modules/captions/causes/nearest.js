/** The training images that a sample resembles most, with a warning if it is nearly a copy of one. */

import {fill, h, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {button, findings, unread} from "../../core/parts.js";

/** @typedef {import("./answers").NearestImages} Nearest */

const PAUSE = 400;

export class NearestList {
    /** @param {import("../set.js").CaptionSet} set @param {{sample: () => string, show: (numbers: number[]) => void}} actions */
    constructor(set, actions) {
        this.set = set;
        this.actions = actions;
        this.timer = 0;
        this.closed = false;
        this.bar = h("div", {class: "tl-bar-fill"});
        this.progress = h("div", {class: "tl-bar", role: "progressbar", "aria-label": "Measuring the images", hidden: true}, this.bar);
        this.words = h("p", {class: "tl-note", role: "status", id: "tl_cause_near_words"}, "");
        this.stop = button("Stop", {small: true, hidden: true, click: () => this.ask({stop: true})});
        this.body = h("div", {});
        this.element = h("section", {class: "tl-cause-part", "aria-label": "Nearest images of the set"}, h("h4", {}, "Nearest images of the set"),
            h("div", {class: "tl-row"}, this.words, this.stop), this.progress, this.body);
    }

    /** Search, again if the tagger has seen the sample meanwhile. */
    search() {
        return this.ask({begin: true});
    }

    /** @param {object} body */
    async ask(body) {
        clearTimeout(this.timer);
        if (this.closed || !this.actions.sample()) return;
        const answer = await this.set.ask("causes/nearest", {sample: this.actions.sample(), ...body}, {quiet: true}).catch((failure) => ({failure}));
        if (this.closed) return;
        if ("failure" in answer) {
            this.fail(answer.failure);
            return;
        }
        this.show(answer);
        if (answer.state === "running") this.timer = window.setTimeout(() => this.ask({}), PAUSE);
    }

    /** @param {unknown} error */
    fail(error) {
        setText(this.words, "");
        this.progress.hidden = this.stop.hidden = true;
        fill(this.body, unread("The list", error, () => this.search()));
    }

    close() {
        this.closed = true;
        clearTimeout(this.timer);
    }

    /** @param {Nearest} answer */
    show({state, done, total, seconds_left: left, problem, stopped, nearest}) {
        const running = state === "running";
        this.progress.hidden = this.stop.hidden = !running || !total;
        this.bar.style.width = `${total ? Math.round(100 * done / total) : 0}%`;
        if (running) setText(this.words, ["Measuring the images", total ? `${format.number(done)} of ${format.number(total)}` : "",
            format.left(left)].filter(Boolean).join(" · "));
        else if (state === "failed") setText(this.words, problem);
        else setText(this.words, nearest.length ? stopped ? "It was stopped, so not every image was compared." : "The most alike first."
            : "The set has no image to compare.");
        if (running) return;
        const memorized = nearest.find((one) => one.kind);
        fill(this.body, memorized ? findings([{level: "warning", text: warningOf(memorized)}]) : null,
        h("div", {class: "tl-cause-thumbs"}, nearest.map((one) => this.thumb(one))));
    }

    /** @param {import("./answers").NearImage} near */
    thumb({cell, likeness, kind, mirrored}) {
        return h("button", {type: "button", class: "tl-cause-thumb tl-cause-near", "aria-label": `Show ${cell.name} in the editor`,
            title: `${cell.path}${mirrored ? ", mirrored" : ""}\n${cell.text || ""}`, on: {click: () => this.actions.show([cell.number])}},
        h("img", {src: this.set.image(cell, 256), alt: "", loading: "lazy"}),
        h("span", {class: "tl-cause-sure"}, kind === "copy" ? "copy" : `${Math.round(100 * likeness)}%`));
    }
}

/** @param {import("./answers").NearImage} near @returns {string} */
function warningOf({kind, mirrored, cell}) {
    const turned = mirrored ? ", mirrored" : "";
    const first = kind === "copy" ? `Nearly a copy${turned && `${turned},`} of ${cell.name}: it is memorized.`
        : `Much nearer to ${cell.name}${turned && `${turned},`} than to any other image: it may be memorized.`;
    return `${first} Take an earlier epoch or a lower strength, give the image fewer repeats, or look for duplicates of it.`;
}
