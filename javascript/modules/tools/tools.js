/** The sub-tab "Tools": creating LoRAs without training, and inspecting LoRA files. */

import {api, failureOf, fill, h, on, store} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, card, emptyState, unread} from "../core/parts.js";
import {registerTab} from "../core/shell.js";
import {askToDelete, openTrash} from "../runs/manage.js";
import {BeforeAfter} from "./before_after.js";
import {LoraCard} from "./card.js";
import {FileMetadataCard} from "./file_metadata.js";
import {ToolForm} from "./form.js";
import {LoraInside} from "./inside.js";
import {ToolOutcome} from "./result.js";
import {TITLES, ToolRun} from "./tool_run.js";

/** @typedef {import("../core/types").RunSummary} RunSummary */
/** @typedef {import("../runs/model.js").RunModel} RunModel */

/** @type {Record<string, string>} */
const ABOUT = {
    extract: "The difference of two checkpoints as a LoRA: what a fine-tune learned, to be used on any model of its family.",
    merge: "A copy of a checkpoint with LoRAs merged in permanently, exactly as the prompt would apply them.",
    mix: "Several LoRAs as one file, by the sum of what they change.",
    resize: "A LoRA at a smaller rank, or another kind of LoRA as a plain one.",
    inspect: "What a LoRA is and how it was trained. Its card in the webui and the texts in the file can be edited.",
};
const INSPECT = "inspect";
const WITH_CURVE = ["extract", "mix", "resize"];
/** @type {Record<string, string>} */
const CHOICES = {...TITLES, extract: "Extract"};
/** @type {Record<string, string>} */
const VERBS = {extract: "Extract", merge: "Merge", mix: "Merge", resize: "Resize", inspect: "Inspect"};

class ToolsTab {
    /** @param {HTMLElement} panel */
    constructor(panel) {
        /** @type {Map<string, ToolForm>} */
        this.forms = new Map();
        this.command = "";
        /** @type {LoraCard|null} */
        this.card = null;
        this.metadata = new FileMetadataCard();
        this.choices = h("div", {class: "tl-tool-choices", role: "group", "aria-label": "Tool"});
        this.about = h("p", {class: "tl-note"});
        this.place = h("div", {});
        this.start = button("Start", {kind: "primary", id: "tl_tool_start", click: () => this.begin(false)});
        this.measure = button("Show size and error", {id: "tl_tool_curve", click: () => this.begin(true)});
        this.earlier = h("select", {class: "tl-input tl-select tl-earlier", id: "tl_tool_earlier", "aria-label": "Earlier runs",
            on: {change: () => this.open(this.earlier.value)}});
        this.remove = button("Delete", {icon: "trash", id: "tl_tool_delete", click: () => this.run.run && askToDelete(this.run.run)});
        this.run = new ToolRun((run, ended) => this.showRun(run, ended));
        this.outcome = new ToolOutcome({rank: (rank) => this.takeRank(rank), inspect: (path) => this.inspect(path)});
        this.inside = new LoraInside();
        this.pictures = new BeforeAfter();
        this.nothing = emptyState("No results yet", "Choose a tool, fill in its form and press the button. Size, error " +
            "and the new file appear here. No file is ever overwritten.", trashButton());
        this.shown = h("section", {class: "tl-card", hidden: true}, h("div", {class: "tl-card-body"}, this.run.element,
            this.outcome.element, this.pictures.element, this.inside.element, this.run.log.element));
        this.left = h("div", {class: "tl-column"});
        panel.append(h("div", {class: "tl-columns"}, this.left, h("div", {class: "tl-column tl-runview"},
            h("div", {class: "tl-tool-earlier", hidden: true}, h("label", {class: "tl-label", for: "tl_tool_earlier"}, "Run"),
                this.earlier, this.remove, trashButton()), this.nothing, this.shown)));
        on("tools", (runs) => this.offer(runs));
        on("run-deleted", (id) => this.forget(id));
        this.load();
    }

    async load() {
        try {
            const {groups, versions} = await api("tools", {quiet: true});
            this.card = new LoraCard(versions);
            fill(this.left, card("Tool", {}, this.choices, this.about, this.place,
                h("div", {class: "tl-row tl-wrap"}, this.start, this.measure)), this.card.element, this.metadata.element);
            for (const {name, settings} of groups) this.forms.set(name, new ToolForm(name, settings));
            fill(this.choices, groups.map(({name}) => h("button", {type: "button", class: "tl-tool-choice",
                data: {tool: name}, on: {click: () => this.choose(name)}}, CHOICES[name] || name)));
            const last = store.get("tool", groups[0].name);
            this.choose(this.forms.has(last) ? last : groups[0].name);
        } catch (error) {
            fill(this.left, unread("The list of tools", error, () => this.load()));
        }
    }

    /** @param {string} command */
    choose(command) {
        this.command = command;
        store.set("tool", command);
        for (const choice of this.choices.querySelectorAll("button")) {
            choice.setAttribute("aria-pressed", String(choice.dataset.tool === command));
        }
        fill(this.about, ABOUT[command]);
        fill(this.place, this.forms.get(command)?.element);
        const label = this.start.querySelector(".tl-button-label");
        if (label) label.textContent = VERBS[command];
        this.measure.hidden = !WITH_CURVE.includes(command);
        this.metadata.element.hidden = command !== INSPECT || !this.metadata.path;
        if (this.card) this.card.element.hidden = command !== INSPECT || !this.card.path;
    }

    /** @param {boolean} onlyCurve */
    async begin(onlyCurve) {
        const form = this.forms.get(this.command);
        if (!form) return;
        this.start.disabled = this.measure.disabled = true;
        try {
            const body = {command: this.command, job: form.values(onlyCurve)};
            const {id} = await api("tools", {body, quiet: true});
            form.showProblems([]);
            this.open(id);
            this.shown.scrollIntoView({block: "nearest"});
        } catch (error) {
            const {message, problems} = failureOf(error);
            form.showProblems(problems.length ? problems : [message]);
        }
        this.start.disabled = this.measure.disabled = false;
    }

    /** @param {string} id of a run */
    open(id) {
        this.nothing.hidden = true;
        this.shown.hidden = false;
        this.outcome.element.hidden = this.inside.element.hidden = true;
        this.pictures.show("");
        this.run.watch(id);
        this.showDeletion();
    }

    showDeletion() {
        const {run} = this.run;
        this.remove.disabled = !run || run.open;
        this.remove.title = run && run.open ? "Stop it first" : "Moves the run to the trash";
    }

    /** The run that is shown was deleted; the list opens the next one. @param {string} id */
    forget(id) {
        if (!this.run.run || this.run.run.id !== id) return;
        this.run.clear();
        this.shown.hidden = true;
        this.nothing.hidden = false;
        this.showDeletion();
    }

    /** @param {RunSummary[]} runs of tools */
    offer(runs) {
        const shown = runs.slice(0, 50);
        /** @type {HTMLElement} */ (this.earlier.parentElement).hidden = !shown.length;
        const names = shown.map(({id}) => id).join();
        if (this.earlier.dataset.names !== names) {
            this.earlier.dataset.names = names;
            fill(this.earlier, shown.map(({id, name, command, created}) => h("option", {value: id},
                `${TITLES[command]}: ${name.replace(`${command}-`, "")}, ${format.when(created)}`)));
        }
        if (!this.run.run && shown.length) this.open((shown.find(({alive}) => alive) || shown[0]).id);
        if (this.run.run) this.earlier.value = this.run.run.id;
    }

    /** @param {RunModel} run @param {boolean} ended */
    async showRun(run, ended) {
        this.showDeletion();
        const made = run.saved.length > 0 || ended;
        if (!made && !run.phase.text) return;
        const result = await api(`tools/runs/${encodeURIComponent(run.id)}`, {quiet: !ended}).catch(() => null);
        if (!result || run !== this.run.run) return;
        const asked = /** @type {Record<string, unknown>} */ (/** @type {unknown} */ (run.job || {}));
        const path = typeof asked.lora === "string" ? asked.lora : "";
        this.outcome.element.hidden = run.summary.command === INSPECT || !(result.sentences.length || run.saved.length);
        this.outcome.show(run, result, typeof asked.network_dim === "number" ? asked.network_dim : 0);
        this.inside.show(path, result.found);
        if (ended && run.saved.length) this.pictures.show(run.id);
        if (run.summary.command === INSPECT && result.found && this.card && this.card.path !== path) {
            await Promise.all([this.card.show(path), this.metadata.show(path)]);
            this.card.element.hidden = this.metadata.element.hidden = this.command !== INSPECT;
        }
    }

    /** Handles a click on a rank in the curve of the shown run. @param {number} rank */
    takeRank(rank) {
        const command = this.run.run ? this.run.run.summary.command || "" : "";
        const form = this.forms.get(command);
        if (!form) return;
        form.put(form.key("network_dim"), rank);
        for (const rule of ["sv_ratio", "sv_fro", "sv_cumulative"]) form.put(form.key(rule), null);
        this.choose(command);
    }

    /** @param {string} path */
    inspect(path) {
        const form = this.forms.get(INSPECT);
        if (!form) return;
        form.put(form.key("lora"), path);
        this.choose(INSPECT);
        this.begin(false);
    }
}

function trashButton() {
    return button("Trash", {kind: "quiet", icon: "trash", click: openTrash});
}

registerTab({id: "tools", title: "Tools", order: 37, build: (panel) => new ToolsTab(panel)});
