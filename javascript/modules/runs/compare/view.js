/** Two to six runs side by side: curves, the settings that differ, images by epoch, and a grid. */

import {api, emit, fill, h, on, setText} from "../../core/dom.js";
import {format} from "../../core/format.js";
import {badge, button, findings, setBadge} from "../../core/parts.js";
import {runs as runList} from "../watch.js";
import {assignColors, colorClass} from "./colors.js";
import {CompareCurves} from "./curves.js";
import {CompareGrid} from "./grid.js";
import {CompareImages} from "./images.js";
import {CompareSettings} from "./settings.js";

/** @typedef {import("../model.js").RunModel} RunModel */

export class CompareView {
    /** @param {() => void} closed called by the button Close */
    constructor(closed) {
        /** @type {RunModel[]} */
        this.runs = [];
        /** @type {Set<string>} runs without curves and images, turned off in the legend */
        this.hidden = new Set();
        /** @type {import("./answers").Comparison|null} */
        this.answer = null;
        const options = {shown: (/** @type {string} */ id) => !this.hidden.has(id),
            nameOf: (/** @type {RunModel} */ run) => this.nameOf(run)};
        this.title = h("h3", {class: "tl-compare-title"});
        this.about = h("p", {class: "tl-note"});
        /** @type {Map<string, {element: HTMLElement, update: () => void}>} */
        this.keys = new Map();
        this.legend = h("div", {class: "tl-compare-legend", role: "group", "aria-label": "Runs to show"});
        this.problems = h("div", {hidden: true});
        this.curves = new CompareCurves(options);
        this.settings = new CompareSettings(options);
        this.images = new CompareImages(options);
        this.grid = new CompareGrid();
        this.element = h("div", {class: "tl-run tl-compare", hidden: true, id: "tl_compare"},
            h("header", {class: "tl-run-head"}, h("div", {class: "tl-compare-head"}, this.title,
                button("Close", {kind: "quiet", small: true, icon: "close", click: closed})), this.about),
            h("div", {class: "tl-compare-legend-place"}, this.legend), this.problems,
            this.settings.element, this.curves.element, this.grid.element, this.images.element);
        on("run", (run) => this.runs.includes(run) && this.draw());
        on("run-deleted", (id) => this.runs.some((run) => run.id === id) && closed());
    }

    /** @param {string[]} ids two to six runs; none to close */
    open(ids) {
        for (const run of this.runs) runList.unwatch(run.id);
        assignColors(ids);
        this.runs = ids.map((id) => runList.model(id));
        this.hidden.clear();
        this.answer = null;
        this.keys = new Map(this.runs.map((run) => [run.id, this.key(run)]));
        fill(this.legend, [...this.keys.values()].map(({element}) => element));
        this.element.hidden = !ids.length;
        this.problems.hidden = true;
        for (const id of ids) runList.watch(id);
        if (ids.length) this.ask();
        this.draw();
    }

    async ask() {
        const ids = this.runs.map((run) => run.id);
        const answer = await api("compare", {body: {runs: ids}}).catch(() => null);
        if (!answer || ids.join() !== this.runs.map((run) => run.id).join()) return;
        this.answer = answer;
        const found = answer.problems.flatMap((text, index) => (text ?
            [{level: "warning", text: `${this.nameOf(this.runs[index])}: ${text}`}] : []));
        fill(this.problems, findings(found));
        this.problems.hidden = !found.length;
        this.draw();
    }

    /** @param {RunModel} run @returns {string} its value if all are of one group, else its name */
    nameOf(run) {
        const {group} = run.summary;
        if (group && this.group) return group.value;
        const same = this.runs.filter((other) => other.summary.name === run.summary.name);
        return same.length > 1 ? `${run.summary.name} (${same.indexOf(run) + 1})` : run.summary.name;
    }

    /** @returns {import("../records").RunGroup|null} the group that all runs are in */
    get group() {
        const groups = this.runs.map((run) => run.summary.group || null);
        const [first] = groups;
        return first && first.id && groups.every((group) => group && group.id === first.id) ? first : null;
    }

    /** @param {RunModel} run its entry in the legend */
    key(run) {
        const name = h("span", {class: "tl-compare-name"});
        const state = badge(run.state);
        const about = h("span", {class: "tl-note"});
        const element = h("button", {type: "button", class: `tl-compare-key ${colorClass(run.id)}`, "aria-pressed": "true",
            data: {run: run.id}, on: {click: () => {
                if (this.hidden.has(run.id)) this.hidden.delete(run.id);
                else this.hidden.add(run.id);
                element.setAttribute("aria-pressed", String(!this.hidden.has(run.id)));
                this.draw();
            }}}, h("i", {class: "tl-compare-swatch"}), name, state, about);
        return {element, update: () => {
            setText(name, this.nameOf(run));
            setBadge(state, run.state);
            element.title = `${run.summary.name}. ${run.sentence()}`;
            setText(about, run.summary.loss === null || run.summary.loss === undefined ? "" :
                `loss ${format.loss(run.summary.loss)}`);
        }};
    }

    draw() {
        if (!this.runs.length) {
            this.images.show([]);
            this.grid.show([], null);
            return;
        }
        const {group} = this;
        setText(this.title, group ? group.title : `${this.runs.length} runs side by side`);
        setText(this.about, group ? `${format.plural(this.runs.length, "run")} of one group. Press a name to hide or show ` +
            "its curves and images." : "Press a name to hide or show its curves and images.");
        for (const {update} of this.keys.values()) update();
        this.settings.show(this.runs, this.answer);
        this.curves.show(this.runs);
        this.grid.show(this.runs, this.answer);
        this.images.show(this.runs);
    }
}

/** The group of a run, in its view: its title, and a button that compares its runs. */
export class GroupLine {
    constructor() {
        this.words = h("span", {class: "tl-note"});
        /** @type {string[]} */
        this.ids = [];
        this.compare = button("Compare", {small: true, click: () => emit("compare", this.ids)});
        this.element = h("div", {class: "tl-row tl-run-group", hidden: true}, this.words, this.compare);
    }

    /** @param {RunModel} run */
    show(run) {
        const {group} = run.summary;
        this.element.hidden = !group;
        if (!group) return;
        this.ids = groupOf(group.id);
        setText(this.words, group.problem || `One of ${format.plural(this.ids.length, "run")}: ${group.title}`);
        this.compare.hidden = this.ids.length < 2;
    }
}

/** @param {string} id of a group @returns {string[]} its runs, in the order of the values */
function groupOf(id) {
    if (!id) return [];
    return runList.all().filter((run) => run.group && run.group.id === id)
        .sort((one, other) => (one.group?.position || 0) - (other.group?.position || 0)).map((run) => run.id);
}
