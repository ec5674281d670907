/** "Compare my checkpoints": the button at the choice of the checkpoint, and its window: a tree, a list, training on several. */

import {api, emit, failureOf, fill, h, setText} from "../../core/dom.js";
import {dialog} from "../../core/dialog.js";
import {format} from "../../core/format.js";
import {button, findings, setLabel, unread} from "../../core/parts.js";
import {TagRun} from "../../captions/tag_run.js";
import {form} from "../form.js";
import {treeView} from "./tree.js";
import {byNearness, kindWords, nearnessWords, originWords, styleWords} from "./words.js";

/** @typedef {import("./answers").BasesResult} BasesResult */
/** @typedef {import("./answers").ComparedBase} ComparedBase */

const LOST = "The comparison was interrupted. What was read is kept.";
const [FEWEST, MOST] = [2, 6];

/** @returns {HTMLElement} the button at the choice of the checkpoint */
export function basesButton() {
    return button("Compare my checkpoints", {kind: "quiet", small: true, icon: "bulb", id: "tl_bases",
        title: "Which of your checkpoints are near each other, which are merges, and which fit your captions", click: () => new Panel().open()});
}

/** @param {import("../../core/types").EndingEvent} ending @returns {import("../../core/types").Finding} */
function outcome({event, text, seconds}) {
    if (event === "error") return {level: "error", text: text || "The comparison failed."};
    return event === "finished" ? {level: "good", text: `Compared in ${format.duration(Math.max(1, seconds || 0))}.`} :
        {level: "note", text: "Stopped before the comparison was done. What was read is kept."};
}

class Panel {
    constructor() {
        this.problem = h("p", {class: "tl-field-problem", "aria-live": "polite"});
        this.start = button("Compare", {kind: "primary", id: "tl_bases_start", click: () => this.begin()});
        this.train = button("Train on the ticked ones", {icon: "plus", id: "tl_bases_train", disabled: true, click: () => this.vary()});
        this.run = new TagRun((ended) => this.changed(ended), {route: "bases/runs", id: "tl_bases_run", lost: LOST, outcome});
        this.result = h("div", {});
        /** @type {Set<string>} */
        this.ticked = new Set();
        this.id = "";
    }

    open() {
        this.dialog = dialog("Compare my checkpoints", [
            h("p", {class: "tl-note"}, "Reads a few megabytes of each checkpoint in the webui's list and compares their weights. Files are read " +
                "only, and each again only after it has changed."),
            h("div", {class: "tl-row"}, this.start), this.problem, this.run.element, this.result], [this.train]);
        this.dialog.id = "tl_bases_dialog";
        this.load();
    }

    async load() {
        const newest = await api("bases", {quiet: true}).catch((failure) => ({failure}));
        fill(this.result, "failure" in newest ? unread("The last comparison", newest.failure, () => this.load()) : null);
        if ("id" in newest && newest.id) this.watch(newest.id);
    }

    async begin() {
        setText(this.problem, "");
        this.start.disabled = true;
        try {
            const {id} = await api("bases/runs", {method: "POST", body: {}, quiet: true});
            fill(this.result);
            this.watch(id);
        } catch (error) {
            const {message, problems} = failureOf(error);
            setText(this.problem, [...new Set([message, ...problems])].join(" "));
            this.start.disabled = false;
        }
    }

    /** @param {string} id */
    watch(id) {
        this.id = id;
        this.run.watch(id);
    }

    /** @param {boolean} ended */
    changed(ended) {
        this.start.disabled = this.run.open;
        if (!this.run.open && (ended || this.run.state)) this.show();
    }

    async show() {
        const result = await api(`bases/runs/${encodeURIComponent(this.id)}/result`, {body: {job: form.job()}, quiet: true}).catch((failure) => ({failure}));
        this.ticked.clear();
        if ("failure" in result) {
            fill(this.result, unread("The comparison", result.failure, () => this.show()));
            this.tick();
            return;
        }
        fill(this.result, h("div", {class: "tl-bases-result", id: "tl_bases_result"}, this.said(result),
            result.trees.length ? treeView(result) : null, this.list(result)));
        setLabel(this.start, "Compare again");
        this.tick();
    }

    /** @param {BasesResult} result */
    said({created, outdated, captions, caption_style: style, chosen, bases}) {
        const fit = chosen === null ? null : bases[chosen].fit;
        const found = [
            ...outdated.map((text) => ({level: /** @type {const} */ ("warning"), text: `Outdated: ${text} Compare again.`})),
            ...(style ? [] : [{level: /** @type {const} */ ("note"), text: captions}]),
            ...(fit && fit.text ? [{level: /** @type {import("../../core/types").Finding["level"]} */ (fit.level), text: fit.text}] : [])];
        return h("div", {}, h("p", {class: "tl-note"}, `Compared ${format.when(created)}.`), found.length ? findings(found) : null);
    }

    /** @param {BasesResult} result */
    list(result) {
        const {chosen} = result;
        const near = chosen === null ? "Nearest" : "Distance from the chosen";
        return h("div", {class: "tl-table-scroll"}, h("table", {class: "tl-table tl-bases-list"},
            h("thead", {}, h("tr", {}, ["Tick", "Checkpoint", near, "Expects", "Your captions", ""].map((title) => h("th", {scope: "col"}, title)))),
            h("tbody", {}, byNearness(result, chosen).map((number) => this.row(result, number)))));
    }

    /** @param {BasesResult} result @param {number} number */
    row(result, number) {
        const base = result.bases[number];
        const {path, name, fit, style_from: from, base_from: source} = base;
        const box = h("input", {type: "checkbox", "aria-label": `Train on ${name}`, disabled: base.problems.length > 0, on: {change: () => {
            if (box.checked) this.ticked.add(path);
            else this.ticked.delete(path);
            this.tick();
        }}});
        const words = [...originWords(result, base), ...base.notes, ...base.problems];
        const level = {good: "Fit", warning: "Do not fit"}[fit.level] || "–";
        return h("tr", {data: {name}}, h("td", {}, h("label", {class: "tl-tick"}, box)),
            h("th", {scope: "row"}, h("b", {}, name), h("p", {class: "tl-note"}, `${kindWords(base)}${source.startsWith("its") ? `: ${source}` : ""}`),
                words.map((text) => h("p", {class: "tl-note"}, text))),
            h("td", {}, this.distance(result, number)), h("td", {title: from}, styleWords(base)),
            h("td", {}, h("span", {class: "tl-knows-level", title: fit.text, data: {color: fit.level === "note" ? "plain" : fit.level}}, level),
                fit.level === "warning" ? h("p", {class: "tl-note"}, fit.text) : null),
            h("td", {}, number === result.chosen || base.problems.length ? null : button("Use", {small: true, title: `Train on ${name}`,
                click: () => this.use(base)})));
    }

    /** @param {BasesResult} result @param {number} number */
    distance({chosen, distances, text_distances: text, bases}, number) {
        if (number === chosen) return "chosen";
        if (chosen !== null) {
            const words = nearnessWords(distances[chosen][number]);
            const encoder = text[chosen][number];
            return encoder === null ? words : `${words}; text encoder ${encoder === 0 ? "the same" : encoder.toFixed(2)}`;
        }
        const [nearest] = distances[number].map((distance, other) => ({distance, other})).filter(({distance, other}) => other !== number && distance !== null)
            .sort((one, other) => Number(one.distance) - Number(other.distance));
        return nearest ? `${bases[nearest.other].name}: ${nearnessWords(nearest.distance)}` : "–";
    }

    /** @param {ComparedBase} base */
    use({path}) {
        form.set("base.checkpoint", path);
        this.show();
    }

    tick() {
        const count = this.ticked.size;
        setLabel(this.train, count ? `Train on ${format.plural(count, "checkpoint")} and compare` : "Train on the ticked ones and compare");
        this.train.disabled = count < FEWEST || count > MOST;
        this.train.title = `Tick ${FEWEST} to ${MOST} checkpoints. The job in the form is queued once for each`;
    }

    vary() {
        const values = [...this.ticked];
        this.dialog?.close();
        emit("vary", {key: "base.checkpoint", values});
    }
}
