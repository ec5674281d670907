/** A tagging or masking run in its panel: progress, buttons and result. */

import {api, fill, h, setText} from "../core/dom.js";
import {format} from "../core/format.js";
import {button, findings} from "../core/parts.js";
import {poll} from "../core/shell.js";
import {waitingWords} from "../runs/queue/waiting_words.js";
import {runs} from "../runs/watch.js";

/** @typedef {import("../core/types").RunEvent} RunEvent */
/** @typedef {import("../core/types").EndingEvent} EndingEvent */
/** @typedef {import("../core/types").Finding} Finding */

const OPEN = ["waiting", "running", "paused", "held"];
const MOST_WARNINGS = 8;

/**
 * @typedef {object} Kind what differs between kinds of runs
 * @property {string} route of the runs, to resume one
 * @property {string} id of the panel
 * @property {string} lost a sentence for an interrupted run
 * @property {(ending: EndingEvent) => Finding} outcome the result in words
 */

/** @type {Kind} */
const TAGGING = {route: "tagging/runs", id: "tl_tagging_run", lost: "The run was interrupted. What the tagger has found so far is kept.",
    outcome};

export class TagRun {
    /** @param {(ended: boolean) => void} changed called when a run starts, ends or is found @param {Kind} [kind] */
    constructor(changed, kind = TAGGING) {
        this.changed = changed;
        this.kind = kind;
        /** @type {(event: import("../core/types").TagsEvent) => void} called with what would be written for one image */
        this.sampled = () => {};
        this.fill = h("div", {class: "tl-bar-fill"});
        this.bar = h("div", {class: "tl-bar", role: "progressbar", "aria-label": "Progress of the run",
            "aria-valuemin": "0", "aria-valuemax": "100"}, this.fill);
        this.sentence = h("p", {class: "tl-subtitle", "aria-live": "polite"});
        this.pause = button("Pause", {icon: "pause", small: true, click: () => this.act("pause")});
        this.resume = button("Resume", {icon: "play", small: true, click: () => this.act("resume")});
        this.stop = button("Stop", {icon: "stop", small: true, kind: "danger", click: () => this.act("stop")});
        this.again = button("Resume", {icon: "play", small: true, click: () => this.continueRun()});
        this.said = h("div", {});
        this.element = h("div", {class: "tl-group", hidden: true, id: kind.id},
            h("div", {class: "tl-row"}, h("div", {style: "flex: 1; min-width: 0"}, this.sentence),
                this.pause, this.resume, this.stop, this.again), this.bar, this.said);
        this.poller = poll(() => this.ask(), () => (this.open ? 1 : 0));
        this.id = "";
        this.offset = 0;
        this.state = "";
        this.phase = "";
        /** @type {{done: number, total: number, seconds_left: number|null}|null} */
        this.progress = null;
        /** @type {string[]} */
        this.warnings = [];
        /** @type {EndingEvent|null} */
        this.ending = null;
        /** @type {string[]} pending requests to the worker */
        this.asked = [];
        /** A key of the warnings and result shown, to detect changes. */
        this.shown = "";
    }

    /** @param {string} id */
    clear(id) {
        this.id = id;
        this.offset = 0;
        this.state = id ? "waiting" : "";
        this.phase = "";
        this.progress = null;
        this.warnings = [];
        this.ending = null;
    }

    /** @returns {boolean} whether a run is running or queued */
    get open() {
        return OPEN.includes(this.state);
    }

    /** @param {string} id */
    watch(id) {
        this.clear(id);
        this.show();
        this.changed(false);
        this.poller.wake();
    }

    async ask() {
        if (!this.id) return;
        const answer = await api(`runs/${encodeURIComponent(this.id)}?since=${this.offset}`, {quiet: true});
        const before = this.open;
        for (const event of answer.events) this.take(event);
        this.offset = answer.offset;
        this.state = answer.state;
        this.asked = answer.control;
        this.show();
        if (before && !this.open) this.changed(true);
    }

    /** @param {RunEvent} event */
    take(event) {
        if (event.event === "phase") {
            this.phase = event.text;
            this.progress = null;
            this.ending = null;
        } else if (event.event === "progress") {
            this.progress = event;
        } else if (event.event === "tags") {
            this.sampled(event);
        } else if (event.event === "warning") {
            this.warnings.push(event.text);
        } else if (event.event === "finished" || event.event === "stopped" || event.event === "error") {
            this.ending = event;
        }
    }

    /** @param {"pause"|"resume"|"stop"} action */
    async act(action) {
        try {
            await api(`runs/${encodeURIComponent(this.id)}/control`, {body: {action}});
        } catch {
            // a toast shows the error
        }
        this.poller.wake();
    }

    async continueRun() {
        try {
            await api(`${this.kind.route}/${encodeURIComponent(this.id)}/continue`, {method: "POST", body: {}});
            this.watch(this.id);
        } catch {
            // a toast shows the error
        }
    }

    show() {
        const {done, total, seconds_left: left} = this.progress || {done: 0, total: 0, seconds_left: null};
        const share = this.progress && total ? done / total : null;
        const {asked} = this;
        this.element.hidden = !this.id;
        setText(this.sentence, this.words(done, total, left));
        this.pause.hidden = this.state !== "running";
        this.pause.disabled = asked.includes("pause");
        this.resume.hidden = this.state !== "paused";
        this.stop.hidden = !this.open;
        this.stop.disabled = asked.includes("stop");
        this.again.hidden = this.state !== "lost";
        this.bar.hidden = !this.open;
        this.bar.classList.toggle("tl-bar-unknown", this.state === "running" && share === null);
        this.fill.style.width = `${(100 * (share || 0)).toFixed(1)}%`;
        if (share === null) this.bar.removeAttribute("aria-valuenow");
        else this.bar.setAttribute("aria-valuenow", String(Math.round(100 * share)));
        this.showFindings();
    }

    /** @param {number} done @param {number} total @param {number|null} left seconds */
    words(done, total, left) {
        if (this.state === "waiting") return waitingWords(runs.all());
        if (this.state === "held") return "Held for an image in the webui";
        if (this.state === "paused") return `Paused at ${format.number(done)} of ${format.number(total)}`;
        if (this.state === "lost") return this.kind.lost;
        if (!this.open) return "";
        if (!this.progress) return this.phase || "Starting";
        const bytes = this.phase.startsWith("Downloading");
        const far = bytes ? `${format.bytes(done)} of ${format.bytes(total)}`
            : `${format.number(done)} of ${format.number(total)}`;
        return [this.phase, far, format.left(left)].filter(Boolean).join(" · ");
    }

    showFindings() {
        const key = JSON.stringify([this.warnings.length, this.ending, this.id]);
        if (key === this.shown) return;
        this.shown = key;
        /** @type {Finding[]} */
        const found = this.warnings.slice(0, MOST_WARNINGS).map((text) => ({level: "warning", text}));
        if (this.warnings.length > MOST_WARNINGS) {
            const more = format.plural(this.warnings.length - MOST_WARNINGS, "more warning");
            found.push({level: "note", text: `${more} in the run's log.`});
        }
        if (this.ending) found.unshift(this.kind.outcome(this.ending));
        fill(this.said, found.length ? findings(found) : null);
    }
}

/** @param {EndingEvent} ending the run's last event @returns {Finding} */
function outcome(ending) {
    if (ending.event === "error") return {level: "error", text: ending.text || ""};
    const {pictures = 0, written = 0, unchanged = 0, had_captions = 0, changed_meanwhile = 0, failed = 0} = ending;
    const parts = [`${format.plural(pictures, "image")} ${ending.described ? "described" : "tagged"}`,
        // look-only: written by earlier versions
        ["confidences-only", "look-only"].includes(ending.mode || "") ? "no caption touched" : `${format.plural(written, "caption")} written`];
    if (unchanged) parts.push(`${format.number(unchanged)} needed no change`);
    if (had_captions) parts.push(`${format.number(had_captions)} left alone because they had captions`);
    if (changed_meanwhile) parts.push(`${format.number(changed_meanwhile)} edited meanwhile and left alone`);
    if (failed) parts.push(`${format.number(failed)} could not be read`);
    const provider = (ending.provider || "").replace("ExecutionProvider", "").replace(/^CPU$/, "the CPU");
    const time = format.duration(Math.max(1, ending.seconds || 0));
    const how = ending.model ? ` With ${ending.model} on ${provider}, in ${time}.` : "";
    const undo = written ? " One undo (Ctrl+Z) in the editor reverts it all." : "";
    return {level: ending.event === "finished" ? "good" : "note",
        text: `${ending.event === "finished" ? "Done" : "Stopped"}: ${parts.join(", ")}.${how}${undo}`};
}
