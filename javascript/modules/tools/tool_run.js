/** A run of a tool: progress, messages and outcome. */

import {api, fill, h, setText} from "../core/dom.js";
import {button, findings} from "../core/parts.js";
import {poll} from "../core/shell.js";
import {LogView} from "../runs/files.js";
import {RunModel} from "../runs/model.js";

/** @type {Record<string, string>} */
export const TITLES = {extract: "Extract a LoRA", merge: "Merge into a checkpoint", mix: "Merge LoRAs", resize: "Resize",
    inspect: "Inspect"};
/** @type {Record<string, string>} */
const STATES = {starting: "Starting", running: "Working", waiting: "Waiting", finished: "Finished", stopped: "Stopped",
    stopping: "Stopping", failed: "Failed", lost: "Interrupted", damaged: "Damaged"};

export class ToolRun {
    /** @param {(run: RunModel, ended: boolean) => void} changed called on changes; `ended` if it has just ended */
    constructor(changed) {
        this.changed = changed;
        /** @type {RunModel|null} */
        this.run = null;
        this.said = "";
        this.title = h("h3", {class: "tl-run-name"});
        this.badge = h("span", {class: "tl-badge"});
        this.stop = button("Stop", {kind: "danger", icon: "stop", small: true, id: "tl_tool_stop", click: () => this.end()});
        this.sentence = h("p", {class: "tl-run-sentence", "aria-live": "polite"});
        this.fill = h("div", {class: "tl-bar-fill"});
        this.bar = h("div", {class: "tl-bar", role: "progressbar", "aria-label": "Progress of the tool",
            "aria-valuemin": "0", "aria-valuemax": "100"}, this.fill);
        this.findings = h("div", {});
        this.log = new LogView();
        this.element = h("div", {class: "tl-tool-run", id: "tl_tool_run"}, h("header", {class: "tl-run-title"}, this.title,
            this.badge, h("span", {class: "tl-advice-space"}), this.stop), this.sentence, this.bar, this.findings);
        this.poller = poll(() => this.ask(), () => (this.run && this.run.open ? 1 : 0));
    }

    /** @param {string} id of the run to show */
    watch(id) {
        this.run = new RunModel(id);
        this.said = "";
        this.element.dataset.run = id;
        this.show();
        this.poller.wake();
    }

    /** Show no run. */
    clear() {
        this.run = null;
        delete this.element.dataset.run;
    }

    async ask() {
        const {run} = this;
        if (!run) return;
        const answer = await api(`runs/${encodeURIComponent(run.id)}?since=${run.offset}`, {quiet: true});
        if (run !== this.run) return;
        const [first, before] = [run.job === null, run.open];
        run.take(answer);
        this.show();
        this.changed(run, !run.open && (first || before));
    }

    async end() {
        if (!this.run) return;
        this.stop.disabled = true;
        try {
            await api(`runs/${encodeURIComponent(this.run.id)}/control`, {body: {action: "stop"}});
        } catch {
            // already reported by a toast
        }
        this.poller.wake();
    }

    show() {
        const {run} = this;
        if (!run) return;
        const state = run.state === "starting" && run.phase.text ? "running" : run.state;
        const command = run.summary.command || "";
        setText(this.title, [TITLES[command], run.summary.name.replace(`${command}-`, "")].filter(Boolean).join(": "));
        this.badge.dataset.state = state;
        setText(this.badge, STATES[state] || state);
        this.stop.hidden = !run.open;
        this.stop.disabled = state === "stopping";
        const words = this.words(run, state);
        setText(this.sentence, words);
        this.sentence.hidden = words === "";
        const {share} = run.progressNow();
        this.bar.hidden = !run.open;
        this.bar.classList.toggle("tl-bar-unknown", share === null);
        this.fill.style.width = `${(100 * (share || 0)).toFixed(1)}%`;
        if (share === null) this.bar.removeAttribute("aria-valuenow");
        else this.bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
        this.log.show(run);
        this.showFindings(run);
    }

    /** @param {RunModel} run @param {string} state */
    words(run, state) {
        if (state === "waiting") return "It starts by itself when the run before it is done.";
        if (state === "starting") return "The worker is starting …";
        if (state === "running") return run.progressNow().text;
        if (state === "stopping") return "Stopping after the current layer.";
        if (state === "stopped") return "Stopped. Nothing was saved.";
        if (state === "lost") return "The run was interrupted. Nothing was saved; start it again.";
        return "";
    }

    /** @param {RunModel} run */
    showFindings(run) {
        const error = run.summary.state === "failed" || run.summary.state === "damaged" ?
            run.summary.error || run.summary.damage || "The run has failed. The log below says where." : "";
        const key = JSON.stringify([run.id, run.warnings.length, error]);
        if (key === this.said) return;
        this.said = key;
        const found = [...(error ? [{level: "error", text: error}] : []),
            ...run.warnings.map((text) => ({level: "warning", text}))];
        fill(this.findings, found.length ? findings(found) : null);
    }
}
