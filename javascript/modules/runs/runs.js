/** The sub-tab "Runs": all training runs, each of which can be opened. */

import {fill, h, on, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {badge as makeBadge, button, emptyState, fold, icon, setBadge} from "../core/parts.js";
import {currentTab, registerTab, showTab} from "../core/shell.js";
import {CompareChoice} from "./compare/choice.js";
import {answerVary} from "./compare/variants.js";
import {CompareView} from "./compare/view.js";
import {STATES, isShown, neverStarted} from "./filter.js";
import {FinishedChoice} from "./finished/choice.js";
import {openTrash} from "./manage.js";
import {openSpace} from "./manage/space.js";
import {QueueList} from "./queue/list.js";
import {RunView} from "./view.js";
import {runs as runList} from "./watch.js";

/** @typedef {import("../core/types").RunSummary} RunSummary */

/** @type {RunView|null} */
let view = null;
/** @type {CompareView|null} */
let comparison = null;
/** @type {CompareChoice} set when the tab is built */
let choice;
/** @type {Map<string, {element: HTMLElement, button: HTMLElement, update: (run: RunSummary) => void}>} */
const rows = new Map();
let chosen = "";

/** @param {string} id */
function open(id) {
    chosen = id;
    if (view) view.show(id);
    for (const [name, row] of rows) row.button.setAttribute("aria-pressed", String(name === id));
}

/** @param {string[]} ids to show side by side in place of the open run; none to show that again */
function compare(ids) {
    if (!view || !comparison || (!ids.length && comparison.element.hidden)) return;
    view.element.hidden = ids.length > 0;
    comparison.open(ids);
}

/** @param {RunSummary} run @returns {{element: HTMLElement, button: HTMLElement, update: (run: RunSummary) => void}} */
function makeRow(run) {
    const picture = h("span", {class: "tl-run-thumb"}, icon("image"));
    const name = h("span", {class: "tl-run-row-name"}, run.name);
    const star = h("span", {class: "tl-run-row-star", hidden: true, title: "Starred"}, icon("star"));
    const badge = makeBadge(run.state);
    const about = h("span", {class: "tl-run-row-about"});
    const fillBar = h("span", {class: "tl-bar-fill"});
    const bar = h("span", {class: "tl-bar tl-run-row-bar", "aria-hidden": "true"}, fillBar);
    const button = h("button", {type: "button", class: "tl-run-row", data: {id: run.id},
        "aria-pressed": "false", on: {click: () => {
            compare([]);
            open(run.id);
        }}},
    picture, h("span", {class: "tl-run-row-text"}, h("span", {class: "tl-run-row-top"}, star, name, badge), about, bar));
    const element = h("div", {class: "tl-run-item"}, choice.box(run), button);
    let shownPicture = "";
    const update = (/** @type {RunSummary} */ now) => {
        setText(name, now.name);
        star.hidden = !now.starred;
        button.title = now.note;
        setBadge(badge, now.state);
        setText(about, aboutRow(now));
        const share = now.total_steps ? (now.step || 0) / now.total_steps : 0;
        bar.hidden = !now.alive;
        fillBar.style.width = `${(100 * share).toFixed(1)}%`;
        if (now.sample && now.sample !== shownPicture) {
            shownPicture = now.sample;
            fill(picture, h("img", {src: runList.fileUrl(now.id, now.sample), alt: "", loading: "lazy"}));
        }
    };
    return {element, button, update};
}

/** @param {RunSummary} run */
function aboutRow(run) {
    const parts = [];
    if (run.created) parts.push(format.when(run.created));
    if (run.step) parts.push(run.alive && run.total_steps ? `step ${format.number(run.step)} of ` +
        format.number(run.total_steps) : format.plural(run.step, "step"));
    if (run.loss !== null && run.loss !== undefined) parts.push(`loss ${format.loss(run.loss)}`);
    if (run.held_for) parts.push(`held for ${run.held_for}`);
    if (run.alive && run.seconds_left) parts.push(format.left(run.seconds_left));
    return parts.join(" · ");
}

/** The list beside the open run: filtered, with runs that never started collapsed below. */
class RunList {
    constructor() {
        this.queue = new QueueList();
        this.list = h("div", {class: "tl-run-list", role: "group", "aria-label": "All runs, the newest first"});
        this.search = h("input", {type: "search", class: "tl-input tl-search", placeholder: "Search by name",
            "aria-label": "Search runs by name or note", on: {input: () => this.show()}});
        this.state = h("select", {class: "tl-input tl-select", "aria-label": "Show runs by state", value: "",
            on: {change: () => this.show()}}, h("option", {value: ""}, "All states"),
        Object.entries(STATES).map(([name, {title}]) => h("option", {value: name}, title)));
        this.starred = button("Starred", {small: true, icon: "star", click: () => {
            this.starred.setAttribute("aria-pressed", String(this.starred.getAttribute("aria-pressed") !== "true"));
            this.show();
        }});
        this.starred.classList.add("tl-star");
        this.starred.setAttribute("aria-pressed", "false");
        this.none = h("p", {class: "tl-note", hidden: true}, "No run matches the filter.");
        this.foldedRows = h("div", {class: "tl-run-list"});
        this.foldedTitle = h("span", {}, "");
        this.folded = fold(this.foldedTitle, this.foldedRows);
        this.element = h("div", {class: "tl-column tl-run-side"}, this.queue.element,
            new FinishedChoice("tl_finished_runs", {explained: true}).element, this.search,
            h("div", {class: "tl-row"}, this.state, this.starred), choice.element, this.none, this.list, this.folded,
            h("div", {class: "tl-row"}, button("Trash", {kind: "quiet", small: true, icon: "trash", click: openTrash}),
            button("Disk space", {kind: "quiet", small: true, icon: "file", click: openSpace})));
    }

    show() {
        const filter = {words: this.search.value.trim(), state: this.state.value,
            starred: this.starred.getAttribute("aria-pressed") === "true"};
        this.queue.show();
        const runs = runList.all();
        const shown = runs.filter((run) => isShown(run, filter));
        const folded = shown.filter((run) => neverStarted(run, run === runs[0]));
        place(this.list, shown.filter((run) => !folded.includes(run)));
        place(this.foldedRows, folded);
        this.none.hidden = shown.length > 0;
        this.folded.hidden = !folded.length;
        setText(this.foldedTitle, `${format.plural(folded.length, "run")} that never started`);
    }
}

/** @param {HTMLElement} list @param {RunSummary[]} runs whose rows it contains */
function place(list, runs) {
    runs.forEach((run, index) => {
        const row = rows.get(run.id) || makeRow(run);
        rows.set(run.id, row);
        row.update(run);
        if (list.children[index] !== row.element) list.insertBefore(row.element, list.children[index] || null);
    });
    while (list.children.length > runs.length) list.children[runs.length].remove();
}

/** @param {HTMLElement} panel */
function build(panel) {
    choice = new CompareChoice();
    answerVary();
    const list = new RunList();
    const nothing = emptyState("No runs yet", "Everything you train is kept here, with its plots, samples and " +
        "settings.", button("Go to Train", {kind: "primary", click: () => showTab("train")}),
    button("Trash", {icon: "trash", click: openTrash}));
    const choose = emptyState("Choose a run", "Its plots, samples, files and settings open here.");
    view = new RunView({empty: choose, controls: true});
    comparison = new CompareView(() => compare([]));
    const columns = h("div", {class: "tl-columns tl-runs-columns"}, list.element,
        h("div", {class: "tl-column tl-column-run"}, view.element, comparison.element));
    on("compare", (ids) => {
        showTab("runs");
        compare(ids);
    });
    panel.append(nothing, columns);
    columns.hidden = true;
    on("runs", (runs) => {
        nothing.hidden = runs.length > 0;
        columns.hidden = runs.length === 0;
        list.show();
        if (!chosen && runs.length && currentTab() === "runs") open(runs[0].id);
    });
    on("run-deleted", (id) => {
        rows.delete(id);
        if (chosen === id) chosen = "";
    });
}

registerTab({id: "runs", title: "Runs", order: 30, build, shown: () => {
    runList.refresh();
    const runs = runList.all();
    if (!chosen && runs.length) open(runs[0].id);
}});
